"""The medium's repository with its groups, and the bundle."""

import shutil
from xml.sax.saxutils import escape

from . import host


def make(wrapped, work):
    """`work/iso` with Packages and repodata, and `work/out/Docker.tar.gz`."""
    iso, bundle = work / "iso", work / "bundle/Docker"
    (iso / "Packages").mkdir(parents=True)
    bundle.mkdir(parents=True)
    built = {path.name: path for path in (work / "rpms").glob("*/*.rpm")}
    for rpm in wrapped:
        name = f"{rpm.name}-{rpm.version}-{rpm.release}.x86_64.rpm"
        if name not in built:
            raise host.Unfit(f"rpmbuild made no {name}")
        shutil.move(built[name], (bundle if rpm.group == "bundle" else iso / "Packages") / name)
    comps = work / "comps.xml"
    comps.write_text(comps_text(wrapped))
    host.run("createrepo_c", "--quiet", "--no-database", "--groupfile", comps, iso)
    host.run("createrepo_c", "--quiet", "--no-database", bundle)
    host.run("tar", "-C", work / "bundle", "--owner=0", "--group=0", "-cf", work / "out/Docker.tar.gz", "-I", "gzip -1", "Docker")


def comps_text(wrapped):
    """Group `core` and environment `minimal`, as on CentOS 7's media (el7-facts A2)."""
    core = "".join(f'   <packagereq type="mandatory">{escape(rpm.name)}</packagereq>\n' for rpm in wrapped if rpm.group == "core")
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">
<comps>
 <group>
  <id>core</id>
  <name>Core</name>
  <description>Smallest possible installation.</description>
  <default>false</default>
  <uservisible>false</uservisible>
  <packagelist>
{core}  </packagelist>
 </group>
 <environment>
  <id>minimal</id>
  <name>Minimal Install</name>
  <description>Basic functionality.</description>
  <display_order>3</display_order>
  <grouplist>
   <groupid>core</groupid>
  </grouplist>
  <optionlist/>
 </environment>
</comps>
"""
