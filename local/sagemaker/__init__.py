"""The embedded SageMaker: training jobs, models, endpoints and their runtime, as boto3 sees them.

Shapes, validation and errors come from botocore's own service model (``protocol``); each kind of
resource has a module that is named after it; ``http`` receives the requests.
"""
