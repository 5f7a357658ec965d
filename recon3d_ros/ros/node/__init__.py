"""The depth node: subscriptions, the worker that runs the model, parameters, life cycle, saving."""
