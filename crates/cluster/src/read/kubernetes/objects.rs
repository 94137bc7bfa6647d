//! The fields of Kubernetes' objects that are looked at. Everything may be absent or null; values from
//! Secrets have no field here.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) type Texts = BTreeMap<String, String>;

/// `null` is what is absent.
fn some<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(input: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

/// A time, if it is one.
fn time<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Timestamp>, D::Error> {
    let text: Option<Value> = Option::deserialize(input)?;
    Ok(text.and_then(|text| text.as_str()?.parse().ok()))
}

/// A struct whose fields may all be absent or null.
macro_rules! object {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub(super) struct $name {
            $(#[serde(deserialize_with = "some")] $(#[$attribute])* pub(super) $field: $type),*
        }
    )*};
}

object! {
    /// Of every object.
    Meta {
        name: String,
        labels: Texts,
        annotations: Texts,
        owner_references: Vec<Owner>,
        managed_fields: Vec<Managed>,
        creation_timestamp: Time,
    }
    Owner { kind: String, name: String, controller: bool }
    /// Who wrote fields when.
    Managed { manager: String, operation: String, subresource: String, time: Time }
    /// An object of which nothing else is looked at.
    Object { metadata: Meta }
    Workload { metadata: Meta, spec: WorkloadSpec, status: WorkloadStatus }
    WorkloadSpec { replicas: Option<u64>, template: Template }
    WorkloadStatus { desired_number_scheduled: Option<u64> }
    Template { metadata: Meta, spec: PodSpec }
    ReplicaSet { metadata: Meta, spec: WorkloadSpec }
    Pod { metadata: Meta, spec: PodSpec, status: PodStatus }
    PodSpec {
        containers: Vec<Container>,
        init_containers: Vec<Container>,
        node_name: Option<String>,
        volumes: Vec<Volume>,
    }
    Container {
        name: String,
        image: String,
        command: Vec<String>,
        args: Vec<String>,
        env: Vec<Env>,
        env_from: Vec<EnvFrom>,
        resources: Resources,
    }
    Env { name: String, value: Option<String>, value_from: Option<ValueFrom> }
    ValueFrom { config_map_key_ref: Option<Reference> }
    EnvFrom { config_map_ref: Option<Reference> }
    Reference { name: String }
    Resources { limits: BTreeMap<String, Value> }
    Volume { persistent_volume_claim: Option<Claim>, config_map: Option<Reference>, projected: Option<Projected> }
    Projected { sources: Vec<ProjectedSource> }
    ProjectedSource { config_map: Option<Reference> }
    Claim { claim_name: String }
    PodStatus { phase: String, container_statuses: Vec<ContainerStatus> }
    ContainerStatus { name: String, restart_count: u64, ready: bool, last_state: State, state: State }
    State { waiting: Option<Waiting>, terminated: Option<Terminated> }
    Waiting { reason: String }
    Terminated { finished_at: Time }
    ServiceObject { metadata: Meta, spec: ServiceSpec }
    ServiceSpec { selector: Texts }
    Autoscaler { metadata: Meta, spec: AutoscalerSpec }
    AutoscalerSpec { scale_target_ref: Target, max_replicas: Option<u64> }
    Target { kind: String, name: String }
    EventObject {
        metadata: Meta,
        involved_object: Target,
        reason: String,
        message: String,
        r#type: String,
        count: Option<u64>,
        first_timestamp: Time,
        last_timestamp: Time,
        event_time: Time,
        series: Option<EventSeries>,
    }
    EventSeries { count: u64, last_observed_time: Time }
    Node { metadata: Meta, status: NodeStatus }
    NodeStatus { conditions: Vec<Condition> }
    Condition { r#type: String, status: String, message: String, last_transition_time: Time }
}

/// A time that may be absent or none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Time(pub(super) Option<Timestamp>);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        time(input).map(Self)
    }
}

impl Meta {
    /// The owner that manages it.
    pub(super) fn controller(&self) -> Option<&Owner> {
        self.owner_references.iter().find(|it| it.controller).or(self.owner_references.first())
    }
}

impl PodSpec {
    /// All containers, those that start first included.
    pub(super) fn all_containers(&self) -> impl Iterator<Item = &Container> {
        self.containers.iter().chain(&self.init_containers)
    }

    /// The names of the ConfigMaps that it uses.
    pub(super) fn config_maps(&self) -> impl Iterator<Item = &str> {
        let volumes = self.volumes.iter().flat_map(|volume| {
            let projected = volume.projected.iter().flat_map(|it| &it.sources);
            volume.config_map.iter().chain(projected.filter_map(|it| it.config_map.as_ref()))
        });
        let containers = self.all_containers().flat_map(|container| {
            let keys = container.env.iter().filter_map(|it| it.value_from.as_ref());
            let keys = keys.filter_map(|it| it.config_map_key_ref.as_ref());
            keys.chain(container.env_from.iter().filter_map(|it| it.config_map_ref.as_ref()))
        });
        volumes.chain(containers).map(|it| it.name.as_str())
    }
}
