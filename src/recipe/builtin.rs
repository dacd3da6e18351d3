//! The recipes that are compiled in, so that `goldsmith build NAME` works from any directory.

/// Name and text of every compiled-in recipe.
const BUILTIN: [(&str, &str); 4] = [
    ("centos-7.5-docker", include_str!("../../recipes/centos-7.5-docker.toml")),
    ("centos-7.5-docker-online", include_str!("../../recipes/centos-7.5-docker-online.toml")),
    ("centos-7.9-docker", include_str!("../../recipes/centos-7.9-docker.toml")),
    ("debian-12-docker", include_str!("../../recipes/debian-12-docker.toml")),
];

/// The names of the compiled-in recipes, sorted.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    BUILTIN.iter().map(|(name, _)| *name)
}

/// The text of a compiled-in recipe.
pub fn builtin(name: &str) -> Option<&'static str> {
    BUILTIN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// A commented recipe to start from: what `goldsmith init` writes.
pub fn starter() -> &'static str {
    include_str!("starter.toml")
}
