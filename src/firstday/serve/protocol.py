"""How bytes that are no HTTP at all are answered: with the one error body, too."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from firstday.serve.errors import ApiError, error_response

_ANSWER = error_response(ApiError(400, "bad_request", "This is no HTTP request; see RFC 9110."))


class Protocol(HttpToolsProtocol):
    """uvicorn's, with another body where a request cannot be parsed."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Answer and close the connection."""
        body = bytes(_ANSWER.body)
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
