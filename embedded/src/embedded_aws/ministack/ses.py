"""Amazon SES: mails survive a restart."""

import copy
from typing import Any

from ministack.services import ses

from embedded_aws.ministack.patch import Function, patch

LOST_MAILS = "a restart loses the mails that SES has sent, though its other state is kept"


@patch(ses, "get_state", serves=LOST_MAILS)
def get_state(original: Function) -> dict[str, Any]:
    """The state with the mails."""
    return {**original(), "_sent_emails": copy.deepcopy(ses._sent_emails)}


@patch(ses, "load_persisted_state", serves=LOST_MAILS)
def load_persisted_state(original: Function, data: dict[str, Any]) -> None:
    """Put the mails back, too."""
    original(data)
    ses._sent_emails.update(data.get("_sent_emails", {}))
