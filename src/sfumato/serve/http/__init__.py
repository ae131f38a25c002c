"""The service over HTTP: routes, bodies, schemas, problems."""
