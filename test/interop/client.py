"""A gRPC client that knows no contract: it reads every type by reflection, and generates nothing.

It takes commands as lines of JSON on standard input, one at a time, and answers each with a line of JSON.

    {"address": "host:port", "list": true}
        -> {"services": {service: {method: "unary" | "server" | "client" | "bidi"}}}
    {"address": ..., "method": "package.Service/Method", "requests": [...], ...}
        -> {"responses": [...], "code": "OK", "message": "", "details": [...], "initial": {...}, "trailing": {...},
            "elapsed_ms": 12}

Options of a call: "timeout_ms"; "metadata", an object; "cancel_after", a number of responses; "cancel_after_ms";
"lockstep": the next request goes out when the answer to the one before it has come.
"""

import json
import queue
import sys
import threading
import time

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

# Details of errors are unpacked with these; importing them registers them.
from google.rpc import error_details_pb2  # noqa: F401

KINDS = {(False, False): "unary", (False, True): "server", (True, False): "client", (True, True): "bidi"}


class Server:
    """One address: its channel, and the types that its reflection tells."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = descriptor_pool.DescriptorPool(self.database)

    def service(self, name):
        return self.pool.FindServiceByName(name)

    def list(self):
        services = {}
        for name in self.database.get_services():
            methods = self.service(name).methods
            services[name] = {m.name: KINDS[(m.client_streaming, m.server_streaming)] for m in methods}
        return {"services": services}

    def call(self, command):
        service, name = command["method"].split("/")
        method = self.service(service).FindMethodByName(name)
        request_class = message_factory.GetMessageClass(method.input_type)
        response_class = message_factory.GetMessageClass(method.output_type)
        requests = [json_format.ParseDict(r, request_class(), descriptor_pool=self.pool) for r in command["requests"]]
        streams = (method.client_streaming, method.server_streaming)
        multicallable = {
            "unary": self.channel.unary_unary,
            "server": self.channel.unary_stream,
            "client": self.channel.stream_unary,
            "bidi": self.channel.stream_stream,
        }[KINDS[streams]](
            f"/{service}/{name}",
            request_serializer=request_class.SerializeToString,
            response_deserializer=response_class.FromString,
        )
        options = {"metadata": list(command.get("metadata", {}).items())}
        if "timeout_ms" in command:
            options["timeout"] = command["timeout_ms"] / 1000
        return self.run(command, multicallable, options, requests, streams)

    def run(self, command, multicallable, options, requests, streams):
        turns = queue.Queue()
        for _ in range(1 if command.get("lockstep") else len(requests) + 1):
            turns.put(True)

        def in_turn():
            for request in requests:
                turns.get(timeout=30)
                yield request
            turns.get(timeout=30)

        argument = in_turn() if streams[0] else requests[0]
        started = time.monotonic()
        # A unary answer is waited for apart from the call, so that the call can be cancelled.
        call = multicallable(argument, **options) if streams[1] else multicallable.future(argument, **options)
        if "cancel_after_ms" in command:
            threading.Timer(command["cancel_after_ms"] / 1000, call.cancel).start()
        responses = []
        try:
            for response in call if streams[1] else [call.result()]:
                responses.append(json_format.MessageToDict(response, descriptor_pool=self.pool))
                turns.put(True)
                if len(responses) == command.get("cancel_after"):
                    call.cancel()
        except (grpc.RpcError, grpc.FutureCancelledError):
            pass  # The call itself says what became of it.
        elapsed_ms = (time.monotonic() - started) * 1000
        status = rpc_status.from_call(call)
        return {
            "responses": responses,
            "code": call.code().name,
            "message": call.details(),
            "details": [] if status is None else [json_format.MessageToDict(detail) for detail in status.details],
            "initial": text(call.initial_metadata()),
            "trailing": text(call.trailing_metadata()),
            "elapsed_ms": elapsed_ms,
        }


def text(metadata):
    return {key: value for key, value in metadata or () if isinstance(value, str)}


def main():
    servers = {}
    for line in sys.stdin:
        command = json.loads(line)
        address = command["address"]
        if address not in servers:
            servers[address] = Server(address)
        server = servers[address]
        try:
            answer = server.list() if command.get("list") else server.call(command)
        except Exception as error:  # What went wrong here is the test's to see.
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
