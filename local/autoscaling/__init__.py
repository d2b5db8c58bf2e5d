"""Application Auto Scaling for SageMaker's variants, which MiniStack lacks.

It shares SageMaker's way of parsing, checking and keeping: ``local.sagemaker.protocol``,
``errors``, ``store`` and ``platform``.
"""
