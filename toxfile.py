"""Read by tox before tox.ini: the Python that tox runs on is tested, whether tox.ini names it or not."""

import sys
import sysconfig

from tox.plugin import impl


def here() -> str:
    """What tox calls an environment on this Python: py316, py314t, pypy311."""
    kind = "pypy" if sys.implementation.name == "pypy" else "py"
    threads = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    return f"{kind}{sys.version_info[0]}{sys.version_info[1]}{threads}"


@impl
def tox_add_core_config(core_conf, state):  # type: ignore[no-untyped-def]
    environments = core_conf["env_list"].envs
    if here() not in environments:
        environments.append(here())
