"""The API process: takes reports, shows what is going on, and takes people's orders."""
