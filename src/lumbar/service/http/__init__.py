"""The HTTP interface of the service; `docs/service_api.md` describes it."""
