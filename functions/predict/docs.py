"""The API's document as a page: no script, and no style but that of the page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from typing import Any

from predict.page import FOLDER, headers_of, source

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header><a class="brand" href="./">Live models</a><a href="openapi.json">openapi.json</a></header>
<main class="docs stack">
<h1>{title}</h1>
<p>{description}</p>
<nav aria-label="Operations"><ul>{contents}</ul></nav>
{operations}
<h2>What requests and answers hold</h2>
{schemas}
</main>
</body>
</html>
"""


@cache
def read_docs(text: str) -> tuple[str, dict[str, str]]:
    """Return a page of the API's document, which is given as JSON, and the headers it goes with."""
    document = json.loads(text)
    operations = [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    style = (FOLDER / "page.css").read_text()
    page = PAGE.format(
        title=escape(document["info"]["title"]),
        style=style,
        description=escape(document["info"]["description"]),
        contents="".join(f"<li>{_link(*each)}</li>" for each in operations),
        operations="".join(_operation(*each) for each in operations),
        schemas="".join(
            _schema(name, fields) for name, fields in document["components"]["schemas"].items()
        ),
    )
    return page, headers_of(f"style-src {source(style)}")


def _name(method: str, path: str) -> str:
    return f'<code><span class="method">{method.upper()}</span> {escape(path)}</code>'


def _link(method: str, path: str, operation: Mapping[str, Any]) -> str:
    target = escape(operation["operationId"])
    return f'<a href="#{target}">{_name(method, path)}</a> {escape(operation["summary"])}'


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    name = escape(operation["operationId"])
    parts = [
        f'<section class="card stack" aria-labelledby="{name}">',
        f'<h2 id="{name}">{_name(method, path)}</h2>',
        f"<p>{escape(operation['summary'])}.</p>",
        "" if operation.get("security") else '<p class="dim small">Needs no API key.</p>',
    ]
    if parameters := operation.get("parameters"):
        rows = [
            (each["name"], each["in"], _kind(each["schema"]), each.get("description", ""))
            for each in parameters
        ]
        parts.append(_table("Parameters", ("Name", "In", "Type", "About"), rows))
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<h3>Body, {escape(media_type)}</h3>{_content(content)}")
    parts += [
        f"<details{' open' if status < '300' else ''}><summary>{status}: "
        f"{escape(answer['description'])}</summary>"
        f"{''.join(map(_content, answer['content'].values()))}</details>"
        for status, answer in operation["responses"].items()
    ]
    return "".join([*parts, "</section>"])


def _content(content: Mapping[str, Any]) -> str:
    """Return a body's schema, by its name, and an example of it."""
    kind = _kind(content["schema"])
    example = content.get("example")
    if example is None:
        return f'<p class="dim small">{kind}</p>'
    text = (
        example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
    )
    return f'<p class="dim small">{kind}</p><pre tabindex="0">{escape(text)}</pre>'


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    rows = [
        (field, "be there" if field in required else "", _kind(of), of.get("description", ""))
        for field, of in schema.get("properties", {}).items()
    ]
    return (
        f'<section class="card stack" aria-labelledby="schema-{name}">'
        f'<h3 id="schema-{name}">{name}</h3><p>{escape(schema.get("description", ""))}</p>'
        f"{_table(name, ('Field', 'Must', 'Type', 'About'), rows)}</section>"
    )


def _kind(schema: Mapping[str, Any]) -> str:
    """Return what type a schema is of, as markup."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{name}">{name}</a>'
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    words = [schema.get("format") or schema.get("type") or "any"]
    if choices := schema.get("enum"):
        words.append(f"({', '.join(map(str, choices))})")
    return escape(" ".join(words))


def _table(caption: str, head: Iterable[str], rows: Iterable[tuple[str, str, str, str]]) -> str:
    """Return a table; the third of a row is markup already."""
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row"><code>{escape(name)}</code></th><td>{escape(what)}</td>'
        f"<td>{kind}</td><td>{escape(about)}</td></tr>"
        for name, what, kind, about in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(caption)}"><table>'
        f"<thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>"
    )
