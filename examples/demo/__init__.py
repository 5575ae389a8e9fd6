"""What shows Holdfast at work on one machine, and the stand-ins for vendors that it needs."""
