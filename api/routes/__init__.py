"""The API's routes, a file for each noun."""
