"""Which files begin: two workers end together only if the longest do not come last."""


def pytest_collection_modifyitems(items):
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path.parent.name != "end_to_end", item.path not in slow))
