"""The log: every line that is Anaconda's is in lines.tsv, and reaches rsyslog the way Anaconda's does."""

import logging
import logging.handlers
import os
import subprocess
import time

TABLE = "/usr/lib/anaconda/lines.tsv"
VIRTIO_PORT = "/dev/virtio-ports/org.fedoraproject.anaconda.log.0"
LEVELS = {"DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARN": logging.WARNING, "ERR": logging.ERROR, "CRIT": logging.CRITICAL}
# Program and the file of /tmp that keeps its lines too; the files go to /var/log/anaconda of the installed system.
FILES = {"anaconda": "anaconda.log", "program": "program.log", "packaging": "packaging.log", "blivet": "storage.log", "ifcfg": "ifcfg.log"}

_texts = {}


def init():
    """Read the table, and connect one logger for each program."""
    for level, number in (("WARN", logging.WARNING), ("ERR", logging.ERROR), ("CRIT", logging.CRITICAL)):
        logging.addLevelName(number, level)
    with open(TABLE) as table:
        for line in table:
            if not line.startswith("#"):
                name, program, level, text, _ = line.rstrip("\n").split("\t")
                _texts[name] = (program, LEVELS[level], text.replace("\\n", "\n"))
    for program, file in FILES.items():
        logger = logging.getLogger(program)
        logger.setLevel(logging.DEBUG)
        # A file of its own, and the system's log.
        kept = logging.FileHandler(f"/tmp/{file}")
        kept.setFormatter(logging.Formatter("%(asctime)s,%(msecs)03d %(levelname)s %(name)s: %(message)s", "%H:%M:%S"))
        logger.addHandler(kept)
        # By these names its severity is found.
        logging.handlers.SysLogHandler.priority_map |= {"WARN": "warning", "ERR": "err", "CRIT": "crit"}
        system = logging.handlers.SysLogHandler("/dev/log", logging.handlers.SysLogHandler.LOG_LOCAL1)
        system.setFormatter(logging.Formatter("%(name)s: %(message)s"))
        logger.addHandler(system)


def log(name, /, **values):
    """Log the line `name` of the table."""
    program, level, text = _texts[name]
    logging.getLogger(program).log(level, "%s", text.format(**values))


def setup_virtio():
    """From here on all of the system's log goes to the virtio-serial port, if there is one (pyanaconda/anaconda_log.py:224)."""
    if os.path.exists(VIRTIO_PORT) and os.access(VIRTIO_PORT, os.W_OK):
        with open("/etc/rsyslog.conf", "a") as conf:
            conf.write(f"*.* {VIRTIO_PORT};anaconda_syslog\n")
        subprocess.run(["systemctl", "restart", "rsyslog.service"], check=False)


def tell(message):
    """What is seen on the screen too, with the time."""
    print(time.strftime("%H:%M:%S"), message, flush=True)
