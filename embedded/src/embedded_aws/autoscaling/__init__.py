"""Application Auto Scaling for SageMaker's variants, which MiniStack lacks.

It shares SageMaker's way of parsing, checking and keeping: ``embedded_aws.aws.protocol``,
``errors``, ``store`` and ``platform``.
"""
