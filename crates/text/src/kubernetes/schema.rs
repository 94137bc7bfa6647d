//! The schema itself: kinds, types and fields, and how they are found by name.

use std::collections::{BTreeMap, BTreeSet};

/// What a value may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `true` or `false`.
    Boolean,
    /// A whole number of this many bits, with a sign: 32 or 64.
    Integer(u8),
    /// A number with a fraction.
    Number,
    /// Text.
    String,
    /// Bytes, in base64.
    Bytes,
    /// A point in time (RFC 3339).
    Time,
    /// An amount such as `250m` or `1Gi`; a plain number, too.
    Quantity,
    /// A whole number, or a text such as a port's name or `25%`.
    IntOrString,
    /// An object whose fields the schema does not say.
    Object,
    /// Anything.
    Any,
    /// A list of values of one shape.
    List(Box<Shape>),
    /// An object with free keys and values of one shape.
    Map(Box<Shape>),
    /// A type of the schema, by its full name.
    Type(String),
}

impl Shape {
    /// The shape in a few words, with types by their short names: `list of Container`.
    pub fn describe(&self) -> String {
        match self {
            Self::Boolean => "boolean".to_owned(),
            Self::Integer(bits) => format!("integer of {bits} bits"),
            Self::Number => "number".to_owned(),
            Self::String => "string".to_owned(),
            Self::Bytes => "string of base64 bytes".to_owned(),
            Self::Time => "time (RFC 3339)".to_owned(),
            Self::Quantity => "quantity".to_owned(),
            Self::IntOrString => "integer or string".to_owned(),
            Self::Object => "object".to_owned(),
            Self::Any => "any value".to_owned(),
            Self::List(of) => format!("list of {}", of.describe()),
            Self::Map(of) => format!("map of {}", of.describe()),
            Self::Type(name) => short(name).to_owned(),
        }
    }

    /// The type behind this shape, through lists and maps.
    pub fn type_name(&self) -> Option<&str> {
        match self {
            Self::Type(name) => Some(name),
            Self::List(of) | Self::Map(of) => of.type_name(),
            _ => None,
        }
    }
}

/// The last part of a type's full name.
pub fn short(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, last)| last)
}

/// A field of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What the API says about it; may be empty.
    pub description: String,
    /// What its value may be.
    pub shape: Shape,
    /// Whether the value must be there.
    pub required: bool,
    /// The only values it may have; empty where the schema does not list them.
    pub values: Vec<String>,
    /// For a list that a strategic patch merges element by element: the field that tells elements
    /// apart.
    pub merge_key: Option<String>,
}

/// A type: an object with named fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    /// What the API says about it; may be empty.
    pub description: String,
    /// Its fields by name.
    pub fields: BTreeMap<String, Field>,
}

/// A kind of object that a cluster stores or answers, in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The API group; empty for the core.
    pub group: String,
    /// The version, such as `v1`.
    pub version: String,
    /// The kind, such as `Deployment`.
    pub kind: String,
    /// The name in addresses and commands, such as `deployments`.
    pub plural: String,
    /// Short names in commands, such as `deploy`.
    pub short_names: Vec<String>,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// What can be done with it (`get`, `list`, `create`, …).
    pub verbs: BTreeSet<String>,
    /// What hangs below an object (`log`, `scale`, …).
    pub subresources: BTreeSet<String>,
    /// The full name of its type.
    pub type_name: String,
}

impl Kind {
    /// `v1`, or `apps/v1`.
    pub fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// The name of the kind in lower case, as commands take it.
    pub fn singular(&self) -> String {
        self.kind.to_lowercase()
    }

    /// What stands first when several groups or versions have the kind: the core, then the stable
    /// groups of Kubernetes by age, then all others; the highest stable version before betas
    /// before alphas.
    fn rank(&self) -> (usize, std::cmp::Reverse<(u8, u32, u32)>) {
        const GROUPS: [&str; 5] = ["", "apps", "batch", "autoscaling", "networking.k8s.io"];
        let group = GROUPS.iter().position(|it| *it == self.group).unwrap_or(GROUPS.len());
        (group, std::cmp::Reverse(maturity(&self.version)))
    }
}

/// Orders versions: 2 stable, 1 beta, 0 anything else; then the major and the minor number.
fn maturity(version: &str) -> (u8, u32, u32) {
    let rest = version.strip_prefix('v').unwrap_or(version);
    let split = |text: &str, mark: &str| {
        let (major, minor) = text.split_once(mark)?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    if let Ok(major) = rest.parse() {
        return (2, major, 0);
    }
    if let Some((major, minor)) = split(rest, "beta") {
        return (1, major, minor);
    }
    split(rest, "alpha").map_or((0, 0, 0), |(major, minor)| (0, major, minor))
}

/// The kinds and types of one cluster or one version of Kubernetes.
#[derive(Clone, Debug)]
pub struct Schema {
    version: String,
    types: BTreeMap<String, Type>,
    kinds: Vec<Kind>,
    /// Kinds by every name that a command may use, preferred ones first.
    names: BTreeMap<String, Vec<usize>>,
}

impl Schema {
    /// Puts a schema together. Every type that a field or a kind names must be in `types`.
    pub(super) fn new(
        version: String,
        types: BTreeMap<String, Type>,
        mut kinds: Vec<Kind>,
    ) -> Self {
        kinds.sort_by(|one, other| {
            (&one.kind, one.rank(), &one.group).cmp(&(&other.kind, other.rank(), &other.group))
        });
        let mut names: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, kind) in kinds.iter().enumerate() {
            let mut all: BTreeSet<String> = kind.short_names.iter().cloned().collect();
            all.extend([kind.plural.clone(), kind.singular()]);
            for name in all {
                names.entry(name).or_default().push(index);
            }
        }
        for indices in names.values_mut() {
            indices.sort_by_key(|&index| (kinds[index].rank(), index));
        }
        Self { version, types, kinds, names }
    }

    /// The version of Kubernetes, as its source says it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// All kinds, in the order of their names, preferred group and version first.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// All types by their full names.
    pub fn types(&self) -> &BTreeMap<String, Type> {
        &self.types
    }

    /// A type by its full name.
    pub fn type_named(&self, name: &str) -> Option<&Type> {
        self.types.get(name)
    }

    /// The kind with this `apiVersion` and `kind`.
    pub fn kind(&self, api_version: &str, kind: &str) -> Option<&Kind> {
        self.kinds.iter().find(|it| it.kind == kind && it.api_version() == api_version)
    }

    /// The preferred kind of this name, as it is written in manifests.
    pub fn preferred(&self, kind: &str) -> Option<&Kind> {
        let named = self.kinds.iter().filter(|it| it.kind == kind);
        named.min_by_key(|it| it.rank())
    }

    /// The kind that a command means: plural, singular or short, alone or followed by its group
    /// (`deployments.apps`) or by version and group (`deployments.v1.apps`), in any case.
    pub fn resource(&self, name: &str) -> Option<&Kind> {
        let name = name.to_lowercase();
        if let Some(indices) = self.names.get(&name) {
            return indices.first().map(|&index| &self.kinds[index]);
        }
        let (resource, rest) = name.split_once('.')?;
        let candidates = self.names.get(resource)?.iter().map(|&index| &self.kinds[index]);
        let qualified = |kind: &&Kind| {
            rest == kind.group
                || rest
                    .split_once('.')
                    .is_some_and(|(version, group)| version == kind.version && group == kind.group)
                || (kind.group.is_empty() && rest == kind.version)
        };
        candidates.into_iter().find(qualified)
    }

    /// Every name that a command may use for a kind.
    pub fn resource_names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }
}
