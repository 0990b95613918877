"""Cells of custom kinds."""

from __future__ import annotations

from resource_api.schema.printer_columns import PrinterColumns, cells

COLUMNS = [
    {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status', "priority": 1},
    {"name": "Size", "type": "integer", "jsonPath": ".spec.size", "description": "How large."},
    {"name": "Any", "type": "string", "jsonPath": ".spec"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]


def test_cells_follow_the_columns_types():
    """Missing is null, text is printed, a date is an age, a wrong type is null."""
    obj = {
        "metadata": {"name": "x", "creationTimestamp": "1970-01-01T00:00:00Z"},
        "spec": {"size": 3},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    version = {"additionalPrinterColumns": COLUMNS}
    assert cells(version, obj, 300.0) == ["x", "True", 3, '{"size":3}', "5m"]
    assert cells(version, {"metadata": {"name": "y", "creationTimestamp": "soon"}, "spec": {"size": "a"}}, 0.0) == [
        "y",
        None,
        None,
        '{"size":"a"}',
        "<invalid>",
    ]


def test_columns_describe_themselves():
    """The path is the description where there is none; without columns there is an age."""
    made = PrinterColumns(COLUMNS).definitions
    assert [one["name"] for one in made] == ["Name", "Ready", "Size", "Any", "Age"]
    assert made[1]["priority"] == 1
    assert made[2]["description"] == "How large."
    assert made[4]["description"] == "Custom resource definition column (in JSONPath format): .metadata.creationTimestamp"
    assert [one["name"] for one in PrinterColumns(None).definitions] == ["Name", "Age"]
