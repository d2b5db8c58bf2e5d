"""The server: MiniStack with SageMaker and Application Auto Scaling, patched."""

import asyncio
import threading

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from ministack import app
from ministack.core import responses

from embedded_aws.autoscaling import scaling
from embedded_aws.aws import platform, protocol
from embedded_aws.aws.platform import Scope
from embedded_aws.ministack import (
    authorization,
    autoscaling,
    cloudwatch,
    eventbridge,
    iam,
    lambda_code,
    lambda_events,
    origins,
    patch,
    saving,
    state_folder,
    stepfunctions,
)
from embedded_aws.sagemaker import persistence
from embedded_aws.sagemaker.hosting import async_inference, instance_metrics
from embedded_aws.sagemaker.requests import SERVICE


def install() -> None:
    """Patch MiniStack, and connect with it what is added."""
    patch.install(authorization.is_on())
    platform.publish_event = eventbridge.publish_event
    platform.publish_metric = cloudwatch.publish_metric
    autoscaling.connect()
    lambda_code.connect()
    if authorization.is_on():
        authorization.enforce_roles()


def warm_up() -> None:
    """Make ahead what the first request would otherwise wait for: clients and models of APIs."""
    scope = Scope("000000000000", "us-east-1")
    platform.s3(scope)
    platform.logs(scope)
    protocol.service_model(SERVICE)
    # Step Functions keeps a copy of its own.
    responses._service_model(SERVICE)


async def serve(host: str, port: int) -> None:
    """Serve MiniStack with SageMaker until SIGTERM or SIGINT; state is saved while stopping."""
    install()
    threading.Thread(target=warm_up, daemon=True).start()
    announcement = asyncio.create_task(announce_once_it_answers(port))
    stopped = threading.Event()
    loops = (
        async_inference.run_forever,
        instance_metrics.run_forever,
        scaling.run_forever,
        saving.run_forever,
        state_folder.watch,
    )
    for loop in loops:
        threading.Thread(target=loop, args=(stopped,), daemon=True).start()
    config = Config()
    config.bind = [f"{host}:{port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    try:
        application = iam.heeding_protocol(app.app)
        await hypercorn_serve(origins.guarded(application), config)
    finally:
        stopped.set()
        announcement.cancel()


async def announce_once_it_answers(port: int) -> None:
    """Announce what the last stop has interrupted; whoever reacts needs the server."""
    await app._wait_for_port(port)
    await asyncio.to_thread(stepfunctions.end_unsaved)
    await asyncio.to_thread(stepfunctions.announce_interrupted)
    await asyncio.to_thread(lambda_events.deliver_interrupted)
    await asyncio.to_thread(persistence.end_interrupted)
