"""The REST interface: a file per resource, the routes in one table."""

from __future__ import annotations

from . import about, builds, containers, doctor, environments, feed, images, jobs, limits, notebooks, packages, specs

__all__ = ["ROUTES"]

_NAME = r"(?P<name>[^/]+)"
_ID = r"(?P<reference>[A-Za-z0-9][A-Za-z0-9_.-]{0,127})"
_IMAGE = r"(?P<reference>[^/]+)"
"""A reference's slashes are percent-encoded, as in every path."""

ROUTES = (
    (r"/version", about.VersionHandler),
    (r"/openapi\.yaml", about.OpenAPIHandler),
    (r"/feed", feed.FeedHandler),
    (r"/environments", environments.EnvironmentsHandler),
    (rf"/environments/{_NAME}", environments.EnvironmentHandler),
    (rf"/environments/{_NAME}/spec", specs.SpecHandler),
    (rf"/environments/{_NAME}/lock", specs.LockHandler),
    (r"/schema", specs.SchemaHandler),
    (r"/specs/check", specs.CheckHandler),
    (r"/specs/draft", specs.DraftHandler),
    (r"/specs/edit", specs.EditHandler),
    (r"/builds", builds.BuildsHandler),
    (rf"/builds/{_ID}", builds.BuildHandler),
    (rf"/builds/{_ID}/log", builds.LogHandler),
    (rf"/builds/{_ID}/events", builds.EventsHandler),
    (rf"/environments/{_NAME}/packages", packages.AddHandler),
    (rf"/environments/{_NAME}/packages/(?P<package>[^/]+)", packages.RemoveHandler),
    (rf"/environments/{_NAME}/push", environments.PushHandler),
    (rf"/environments/{_NAME}/archive", environments.ArchiveHandler),
    (r"/packages", packages.PackagesHandler),
    (r"/packages/names", packages.NamesHandler),
    (rf"/packages/{_NAME}", packages.PackageHandler),
    (r"/images", images.ImagesHandler),
    (r"/images/pull", images.PullHandler),
    (r"/images/load", images.LoadHandler),
    (rf"/images/{_IMAGE}/history", images.HistoryHandler),
    (rf"/images/{_IMAGE}", images.ImageHandler),
    (r"/prune", jobs.PruneHandler),
    (r"/jobs", jobs.JobsHandler),
    (rf"/jobs/{_ID}", jobs.JobHandler),
    (rf"/jobs/{_ID}/events", jobs.EventsHandler),
    (r"/containers", containers.ContainersHandler),
    (rf"/containers/{_ID}", containers.ContainerHandler),
    (rf"/containers/{_ID}/log", containers.LogHandler),
    (rf"/containers/{_ID}/log/events", containers.LogEventsHandler),
    (rf"/containers/{_ID}/stats", containers.StatsHandler),
    (rf"/containers/{_ID}/stop", containers.StopHandler),
    (rf"/containers/{_ID}/pause", containers.PauseHandler),
    (rf"/containers/{_ID}/resume", containers.ResumeHandler),
    (rf"/containers/{_ID}/commit", containers.CommitHandler),
    (rf"/containers/{_ID}/terminal", containers.TerminalHandler),
    (r"/limits", limits.LimitsHandler),
    (r"/notebooks/limits", limits.ChoiceHandler),
    (r"/notebooks/carry", notebooks.CarryHandler),
    (r"/notebooks/check", notebooks.CheckHandler),
    (r"/notebooks/open", notebooks.OpenHandler),
    (r"/doctor", doctor.DoctorHandler),
)
"""Patterns below ``<base url>/jupyter-containers/api``; ``openapi.yaml`` describes each, held to it by a test."""
