"""MLflow's model registry: a version for each model that differs, an alias for what it may do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

DIGEST = "bundle"
CHAMPION, CHALLENGER = "champion", "challenger"


@dataclass(frozen=True)
class Registered:
    """A version in the registry, and whether it is new."""

    name: str
    version: str
    alias: str
    new: bool

    @property
    def uri(self) -> str:
        """What `mlflow models serve -m` takes."""
        return f"models:/{self.name}@{self.alias}"


def register_version(
    client: Any,
    name: str,
    *,
    alias: str,
    digest: str,
    log: Callable[[], str],
    run_id: str,
    description: str,
    tags: Mapping[str, str],
) -> Registered:
    """Give `alias` to the version of a model, made where none has its digest.

    Parameters
    ----------
    client
        `MlflowClient`.
    name
        Of the registered model, created where missing.
    alias
        `champion` or `challenger`. A version that stops being champion loses that alias: another
        answer of the test is another claim.
    digest
        Of everything that the model consists of.
    log
        Logs the model and returns its id; called where the version is new.
    run_id
        The run that the version comes from.
    description, tags
        Of the version.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    known = client.search_model_versions(f"name = '{name}'")
    same = [one for one in known if one.tags.get(DIGEST) == digest]
    if same:
        version = str(same[0].version)
    else:
        model_id = log()
        made = client.create_model_version(
            name,
            # Not `models:/ID`, which MLflow would look up in the environment's store.
            source=client.get_logged_model(model_id).artifact_location,
            run_id=run_id,
            model_id=model_id,
            description=description,
            tags={**tags, DIGEST: digest},
        )
        version = str(made.version)
    other = CHALLENGER if alias == CHAMPION else CHAMPION
    aliases = client.get_registered_model(name).aliases
    if str(aliases.get(other)) == version:
        client.delete_registered_model_alias(name, other)
    client.set_registered_model_alias(name, alias, version)
    return Registered(name, version, alias, not same)
