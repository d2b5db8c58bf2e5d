"""The built-in k-nearest-neighbours algorithm of SageMaker, on faiss, with no AWS in it.

Train, keep and serve: ``training.train`` reads channels and builds an index, ``artefact`` writes
and reads it, ``inference`` decodes requests and encodes answers. ``python -m embedded_aws.knn train
<folder>`` is what SageMaker runs as the algorithm's container.
"""
