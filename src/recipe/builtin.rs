//! The recipes that are compiled in, so that `goldsmith build NAME` works from any directory.

/// Name and text of every compiled-in recipe.
const BUILTIN: [(&str, &str); 6] = [
    ("centos-7.5-docker", include_str!("../../recipes/centos-7.5-docker.toml")),
    ("centos-7.5-docker-online", include_str!("../../recipes/centos-7.5-docker-online.toml")),
    ("centos-7.5-kubernetes-node", include_str!("../../recipes/centos-7.5-kubernetes-node.toml")),
    ("centos-7.9-docker", include_str!("../../recipes/centos-7.9-docker.toml")),
    ("debian-12-docker", include_str!("../../recipes/debian-12-docker.toml")),
    ("debian-12-kubernetes-node", include_str!("../../recipes/debian-12-kubernetes-node.toml")),
];

/// The names of the compiled-in recipes, sorted.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    BUILTIN.iter().map(|(name, _)| *name)
}

/// The text of a compiled-in recipe.
pub fn builtin(name: &str) -> Option<&'static str> {
    BUILTIN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Whether `text` was meant as a recipe: `schema` or `extends` is among the keys that it begins with. It need not be right TOML.
pub fn reads_as_recipe(text: &str) -> bool {
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    // `name = "a"`; no line of a kickstart looks like it, and neither does a `[table]`.
    let key = |line: &'_ str| line.split_once('=').map(|(key, _)| key.trim().to_owned()).filter(|key| !key.contains([' ', '[']));
    lines.map_while(key).any(|key| matches!(key.trim_matches('"'), "schema" | "extends"))
}

/// A commented recipe to start from: what `goldsmith init` writes.
pub fn starter() -> &'static str {
    include_str!("starter.toml")
}
