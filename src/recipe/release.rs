//! The release of Enterprise Linux that a recipe for Anaconda is judged by and written for. Another release is another row of this table;
//! the kickstart's dialect has its own table (`kickstart/parser/dialect.rs`), and so have the ISOs (`sources/medium/releases.rs`).

/// The facts of a release of Enterprise Linux.
#[derive(Debug, PartialEq, Eq)]
pub struct Release {
    /// The distribution and the release, for people.
    pub name: &'static str,
    /// The major release of Enterprise Linux.
    pub major: u8,
    /// The tz database that it came with.
    pub tzdata: &'static str,
    /// Zones that the tz database got later, each with its release of the database.
    pub later_zones: &'static [(&'static str, &'static str)],
    /// Users that its base packages make.
    pub users: &'static [&'static str],
    /// The client of time servers.
    pub chrony: Chrony,
    /// The directory of certificates that are trusted beside the distribution's own.
    pub anchors: &'static str,
    /// Why `/` cannot grow at the first boot.
    pub no_growth: &'static str,
    /// Why machines cannot go on from a saved state (`run::warm`).
    pub no_state: &'static str,
}

/// How chrony is set up.
#[derive(Debug, PartialEq, Eq)]
pub struct Chrony {
    /// Its unit.
    pub unit: &'static str,
    /// Its file.
    pub file: &'static str,
    /// The content of the file beside the servers: the package's own without its pool, and without directories of further servers.
    pub settings: &'static str,
}

/// CentOS 7.5.1804.
pub static EL7: Release = Release {
    name: "CentOS 7.5",
    major: 7,
    // NEWS of the tz database.
    tzdata: "2018d",
    later_zones: &[
        ("Asia/Qostanay", "2018h"),
        ("America/Nuuk", "2020a"),
        ("Pacific/Kanton", "2021b"),
        ("Europe/Kyiv", "2022b"),
        ("America/Ciudad_Juarez", "2022g"),
        ("America/Coyhaique", "2025b"),
    ],
    // The packages setup, systemd, dbus and openssh-server.
    users: &[
        "root",
        "bin",
        "daemon",
        "adm",
        "lp",
        "sync",
        "shutdown",
        "halt",
        "mail",
        "operator",
        "games",
        "ftp",
        "nobody",
        "systemd-network",
        "dbus",
        "sshd",
    ],
    // chrony 3.2.
    chrony: Chrony {
        unit: "chronyd",
        file: "/etc/chrony.conf",
        settings: "driftfile /var/lib/chrony/drift\nmakestep 1.0 3\nrtcsync\nlogdir /var/log/chrony\n",
    },
    // update-ca-trust(8).
    anchors: "/etc/pki/ca-trust/source/anchors",
    no_growth: "its media have no growpart, and its sfdisk cannot change a GPT",
    // random(4): RNDRESEEDCRNG came with Linux 4.17.
    no_state: "its kernel, 3.10, cannot renew its random generator, so that all its machines would draw the same keys",
};

/// The client of Debian 12, chrony 4.3.
pub(super) static DEBIAN_CHRONY: Chrony = Chrony {
    unit: "chrony",
    file: "/etc/chrony/chrony.conf",
    settings: "keyfile /etc/chrony/chrony.keys\ndriftfile /var/lib/chrony/chrony.drift\nntsdumpdir /var/lib/chrony\n\
        logdir /var/log/chrony\nmaxupdateskew 100.0\nrtcsync\nmakestep 1 3\nleapsectz right/UTC\n",
};
