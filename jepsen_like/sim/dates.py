"""Stand-ins for the classes of `datetime`, which tell the present and, being written in C, cannot be told not to.

What they make are real dates, and real dates are instances of them: nobody who computes with dates sees a difference.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any, TypeAlias

RealDate: TypeAlias = datetime.date
RealDatetime: TypeAlias = datetime.datetime


class _Kind(type):
    """Of a stand-in: `real` is what it stands for."""

    real: type

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return cls.real(*args, **kwargs)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.real)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls.real)


def stand_ins(present: Callable[[str], None]) -> list[tuple[Any, str, type]]:
    """(module, name, class) of each. `present` is called with what was asked for, two frames below who asked; what it lets pass is told."""

    class Date(RealDate, metaclass=_Kind):
        real = RealDate

        @classmethod
        def today(cls) -> Any:
            present("datetime.date.today")
            return RealDate.today()

    class Datetime(RealDatetime, metaclass=_Kind):
        real = RealDatetime

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            present("datetime.datetime.now")
            return RealDatetime.now(tz)

        @classmethod
        def utcnow(cls) -> Any:
            present("datetime.datetime.utcnow")
            return RealDatetime.utcnow()

        @classmethod
        def today(cls) -> Any:
            present("datetime.datetime.today")
            return RealDatetime.today()

    return [(datetime, "date", Date), (datetime, "datetime", Datetime)]
