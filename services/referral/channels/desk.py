"""Routes of the desk: which partners must be called because nothing reaches them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request

from services.chassis.auth import Principal, Requires, Scope
from services.chassis.problem import Problem
from services.chassis.runtime import Runtime
from services.referral.channels import endpoints
from services.referral.channels.models import Tasks, task_view

_LIMIT_MAX = 500
_DESK = Annotated[Principal, Depends(Requires(Scope.DESK, Scope.OPERATOR))]


def add_tasks(routes: APIRouter) -> None:
    """Add the routes of the tasks."""

    @routes.get("/delivery-tasks", operation_id="listDeliveryTasks", tags=["desk"])
    async def listing(
        request: Request, _: _DESK, limit: Annotated[int, Query(ge=1, le=_LIMIT_MAX)] = 100
    ) -> Tasks:
        """Partners that must be called because nothing reaches them, the oldest first."""
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.connection() as connection:
            rows = await endpoints.open_tasks(connection, limit)
        return Tasks(tasks=[task_view(row) for row in rows])

    @routes.post(
        "/delivery-tasks/{taskId}/_close",
        operation_id="closeDeliveryTask",
        status_code=204,
        tags=["desk"],
    )
    async def close(
        request: Request, principal: _DESK, task_id: Annotated[UUID, Path(alias="taskId")]
    ) -> None:
        """Close a task because the partner has been called."""
        runtime: Runtime = request.app.state.runtime
        async with runtime.database.transaction() as connection:
            if not await endpoints.close_task(
                connection, task_id, principal.client, runtime.clock()
            ):
                raise Problem(404, "task-unknown", "There is no open task with this id.")
