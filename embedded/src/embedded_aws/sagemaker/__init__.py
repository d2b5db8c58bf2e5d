"""The embedded SageMaker: jobs, models, endpoints and their runtime, as boto3 sees them.

Jobs are training, hyperparameter tuning and batch transform jobs.

Shapes, validation and errors come from botocore's own service model (``protocol``); each kind of
resource has a module that is named after it; ``http`` receives the requests.
"""
