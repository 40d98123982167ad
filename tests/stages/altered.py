"""A project with other parameters."""

import yaml

from bloomdiff.stages.project import Project


def set_params(project, **blocks):
    """The project with these values in `params.yaml`: those of a block replace its own."""
    path = project.root / "params.yaml"
    content = yaml.safe_load(path.read_text())
    for name, values in blocks.items():
        content[name] = {**content[name], **values} if isinstance(values, dict) else values
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return Project(project.root)
