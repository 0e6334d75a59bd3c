"""The reference of the gRPC services, from the comments of proto/."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc_tools
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)
from grpc_tools import protoc

PROTO = Path(__file__).resolve().parents[2] / "proto"
PACKAGE = "lagkeeper/v1"
# In the order in which somebody who writes a client meets them.
FILES = ("client", "orchestrator", "admin", "peer")

# Numbers of fields in descriptor.proto, of which the paths of comments are made.
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
_METHODS, _FIELDS, _NESTED, _ENUM_VALUES = 2, 2, 3, 2

Place = tuple[int, ...]
Comments = dict[Place, str]


def as_markdown() -> str:
    """A section for each file: its services, then its messages."""
    return "\n".join(line for file in _compiled() for line in _file(file))


def _compiled() -> list[FileDescriptorProto]:
    names = [f"{PACKAGE}/{name}.proto" for name in FILES]
    with tempfile.NamedTemporaryFile(suffix=".pb") as out:
        status = protoc.main(
            [
                "protoc",
                f"-I{PROTO}",
                f"-I{Path(grpc_tools.__file__).parent / '_proto'}",
                "--include_source_info",
                f"--descriptor_set_out={out.name}",
                *names,
            ]
        )
        if status != 0:
            raise RuntimeError("protoc refused proto/; it says above what is wrong")
        compiled = FileDescriptorSet.FromString(Path(out.name).read_bytes())
    by_name = {file.name: file for file in compiled.file}
    return [by_name[name] for name in names]


def _file(file: FileDescriptorProto) -> Iterator[str]:
    # The file's own comment is the one above `syntax`, field 12.
    comments = {
        tuple(location.path): location.leading_comments.strip()
        for location in file.source_code_info.location
    }
    yield f"## {file.name.rpartition('/')[2]}\n\n{comments.get((12,), '')}\n"
    for number, service in enumerate(file.service):
        yield from _service(service, (_SERVICES, number), comments)
    for number, message in enumerate(file.message_type):
        yield from _message(message, message.name, (_MESSAGES, number), comments)
    for number, enum in enumerate(file.enum_type):
        yield from _enum(enum, enum.name, (_ENUMS, number), comments)


def _service(service: ServiceDescriptorProto, path: Place, comments: Comments) -> Iterator[str]:
    yield f"### {service.name}\n\n{comments.get(path, '')}\n"
    yield "| method | request | response | what |\n|---|---|---|---|"
    for number, method in enumerate(service.method):
        asked = "stream of " * method.client_streaming + _short(method.input_type)
        answered = "stream of " * method.server_streaming + _short(method.output_type)
        what = _cell(comments, (*path, _METHODS, number))
        yield f"| `{method.name}` | {asked} | {answered} | {what} |"
    yield ""


def _message(message: DescriptorProto, name: str, path: Place, comments: Comments) -> Iterator[str]:
    yield f"#### {name}\n\n{comments.get(path, '')}\n"
    if message.field:
        yield "| field | type | what |\n|---|---|---|"
        for number, field in enumerate(message.field):
            what = _cell(comments, (*path, _FIELDS, number))
            yield f"| `{field.name}` | {_type(field)} | {what} |"
        yield ""
    for number, nested in enumerate(message.nested_type):
        below = (*path, _NESTED, number)
        yield from _message(nested, f"{name}.{nested.name}", below, comments)


def _enum(enum: EnumDescriptorProto, name: str, path: Place, comments: Comments) -> Iterator[str]:
    yield f"#### {name}\n\n{comments.get(path, '')}\n\n| value | number | what |\n|---|---|---|"
    for number, value in enumerate(enum.value):
        what = _cell(comments, (*path, _ENUM_VALUES, number))
        yield f"| `{value.name}` | {value.number} | {what} |"
    yield ""


def _type(field: FieldDescriptorProto) -> str:
    if field.type_name:
        name = _short(field.type_name)
    else:
        name = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    is_repeated = field.label == FieldDescriptorProto.Label.LABEL_REPEATED
    return f"repeated {name}" if is_repeated else name


def _short(type_name: str) -> str:
    return type_name.removeprefix(".lagkeeper.v1.").removeprefix(".")


def _cell(comments: Comments, path: Place) -> str:
    return " ".join(comments.get(path, "").split()).replace("|", "\\|")
