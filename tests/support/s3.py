"""An S3 on this machine: moto's server, in a thread."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen


class S3:
    """The server, as its owner sees it; `environment` is what others need to find it."""

    def __init__(self, endpoint: str) -> None:
        """Look at the server at that URL."""
        import boto3

        credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        self.environment = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        self.client: Any = boto3.client("s3", endpoint_url=endpoint, **credentials)

    def names(self, prefix: str, bucket: str = "sweeps") -> list[str]:
        """Of all objects that begin so."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [one["Key"] for page in pages for one in page.get("Contents", [])]

    def remove_all(self) -> None:
        """Remove the bucket, as somebody else might meanwhile."""
        for name in self.names(""):
            self.client.delete_object(Bucket="sweeps", Key=name)
        self.client.delete_bucket(Bucket="sweeps")

    def forbid(self) -> None:
        """Have every request refused, as by a policy that has changed."""
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::sweeps/*"}
            ],
        }
        self.client.put_bucket_policy(Bucket="sweeps", Policy=json.dumps(policy))

    def allow(self) -> None:
        """Have them answered again."""
        self.client.delete_bucket_policy(Bucket="sweeps")


@contextmanager
def s3_server() -> Iterator[S3]:
    """A server on a port of its own, for a while."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        urlopen(
            Request(f"{endpoint}/moto-api/reset", method="POST")
        ).close()  # servers of one process share what is kept
        yield S3(endpoint)
    finally:
        server.stop()
