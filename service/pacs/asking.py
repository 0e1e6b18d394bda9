"""Whatever goes wrong while a PACS is asked, as one plain line without its identifiers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from pydicom.errors import InvalidDicomError

from retrieval.lesion import LesionSearchError
from service.pacs.errors import (
    PacsError,
    PacsLimitError,
    PacsUnavailableError,
    UnknownReferenceError,
)
from service.pacs.session import AnswerTooLargeError, RedirectError

_UNREADABLE = (
    InvalidDicomError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    ArithmeticError,
    NotImplementedError,
    RecursionError,
)
"""What libraries raise on an answer that is none; JSON nested too deeply is the last of them."""


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Turns whatever goes wrong while the PACS is asked into one line."""
    try:
        yield
    except AnswerTooLargeError:
        raise PacsLimitError(
            f"the PACS's answer about {what} is larger than LESION_SEARCH_PACS_MAX_MB"
        ) from None
    except RedirectError:
        raise PacsError(
            f"the PACS redirects when asked for {what}: set LESION_SEARCH_PACS_URL to the service "
            "itself"
        ) from None
    except requests.HTTPError as refused:
        status = 0 if refused.response is None else refused.response.status_code
        raise _refusal(status, what) from None
    except requests.exceptions.SSLError:
        raise PacsUnavailableError(
            "the PACS's certificate is not trusted: name its authority in "
            "LESION_SEARCH_PACS_CA_FILE"
        ) from None
    except requests.Timeout:
        raise PacsUnavailableError(f"the PACS did not answer in time about {what}") from None
    except requests.exceptions.InvalidJSONError:
        raise PacsError(f"the PACS's answer about {what} is not readable DICOMweb") from None
    except requests.RequestException:
        raise PacsUnavailableError(
            "the PACS cannot be reached: check LESION_SEARCH_PACS_URL and that it runs"
        ) from None
    except _UNREADABLE as wrong:
        if isinstance(wrong, LesionSearchError):
            raise
        raise PacsError(f"the PACS's answer about {what} is not readable DICOMweb") from None


def _refusal(status: int, what: str) -> PacsError:
    if status == 404:
        return UnknownReferenceError(f"the PACS does not have {what}: check the UIDs")
    if status in {401, 403}:
        return PacsError(
            "the PACS refuses our credentials: check LESION_SEARCH_PACS_USER and ..._PASSWORD, or "
            "..._TOKEN"
        )
    if status >= 500:
        return PacsUnavailableError(f"the PACS failed ({status}) when asked for {what}")
    return PacsError(f"the PACS refused ({status}) when asked for {what}")
