"""The service and the user of a request, with the role that a route requires."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request

from lumbar.service.core import ServiceCore
from lumbar.service.http.errors import Refusal
from lumbar.service.users import Role, User


def core_of(request: Request) -> ServiceCore:
    """The service behind the application."""
    core: ServiceCore = request.app.state.core
    return core


def _at_least(needed: Role) -> Callable[[Request], User]:
    def allowed(request: Request) -> User:
        user: User = request.state.user  # the guard has put it there
        if not user.rights.may(needed):
            raise Refusal(HTTPStatus.FORBIDDEN, f"this needs the role {needed.value}; {user.name} is {user.role}")
        return user

    return allowed


Core = Annotated[ServiceCore, Depends(core_of)]
Reader = Annotated[User, Depends(_at_least(Role.READER))]
Reviewer = Annotated[User, Depends(_at_least(Role.REVIEWER))]
Admin = Annotated[User, Depends(_at_least(Role.ADMIN))]
