"""Holdfast: durable error recovery for services. What a service installs."""
