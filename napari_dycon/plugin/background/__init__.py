"""What runs beside the window: the worker, its queue and every job."""
