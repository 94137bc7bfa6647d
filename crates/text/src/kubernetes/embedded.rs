//! The schema without a file: the types of the crate `k8s-openapi`, which carry their descriptions.

use super::definitions::Definitions;
use super::names;
use super::schema::{Kind, Schema};
use crate::Result;
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope, Resource};
use k8s_openapi::{api, apiextensions_apiserver, kube_aggregator};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};

/// What the errors and the version call it.
const NAME: &str = "k8s-openapi";

/// What can be done with objects that are stored.
const STORED: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// What can be done with questions to the server.
const ASKED: [&str; 1] = ["create"];

trait Scope {
    const NAMESPACED: bool;
}

impl Scope for ClusterResourceScope {
    const NAMESPACED: bool = false;
}

impl Scope for NamespaceResourceScope {
    const NAMESPACED: bool = true;
}

impl Schema {
    /// The schema of the newest version of Kubernetes that was known when the program was built.
    ///
    /// # Errors
    /// None that input can cause; they would mean that the types contradict themselves.
    pub fn embedded() -> Result<Self> {
        let mut generator = SchemaGenerator::new(SchemaSettings::draft2020_12());
        let mut kinds = Vec::new();
        stored(&mut generator, &mut kinds);
        asked(&mut generator, &mut kinds);
        let definitions = generator.take_definitions(true);
        let types = Definitions::new(&definitions, NAME).types()?;
        for kind in &mut kinds {
            let status =
                types.get(&kind.type_name).is_some_and(|it| it.fields.contains_key("status"));
            // The only stored kind that is deleted one by one.
            if kind.plural == "namespaces" {
                kind.verbs.remove("deletecollection");
            }
            // It is computed when it is asked for.
            if kind.plural == "componentstatuses" {
                kind.verbs.retain(|verb| ["get", "list"].contains(&verb.as_str()));
            }
            kind.subresources = names::subresources(&kind.group, &kind.plural, status);
        }
        let version = k8s_openapi::k8s_if_ge_1_37! { "v1.37" };
        Ok(Self::new(version.to_owned(), types, kinds))
    }
}

fn kind<T>(generator: &mut SchemaGenerator, verbs: &[&str]) -> Kind
where
    T: Resource<Scope: Scope> + JsonSchema,
{
    generator.subschema_for::<T>();
    Kind {
        group: T::GROUP.to_owned(),
        version: T::VERSION.to_owned(),
        kind: T::KIND.to_owned(),
        plural: T::URL_PATH_SEGMENT.to_owned(),
        short_names: names::short_names(T::GROUP, T::URL_PATH_SEGMENT),
        namespaced: <T::Scope as Scope>::NAMESPACED,
        verbs: verbs.iter().map(|&verb| verb.to_owned()).collect(),
        subresources: Default::default(),
        type_name: T::schema_name().into_owned(),
    }
}

macro_rules! kinds {
    ($name:ident, $verbs:expr, $($path:path,)*) => {
        fn $name(generator: &mut SchemaGenerator, kinds: &mut Vec<Kind>) {
            $(kinds.push(kind::<$path>(generator, &$verbs));)*
        }
    };
}

kinds! {
    stored,
    STORED,
    api::admissionregistration::v1::MutatingAdmissionPolicy,
    api::admissionregistration::v1::MutatingAdmissionPolicyBinding,
    api::admissionregistration::v1::MutatingWebhookConfiguration,
    api::admissionregistration::v1::ValidatingAdmissionPolicy,
    api::admissionregistration::v1::ValidatingAdmissionPolicyBinding,
    api::admissionregistration::v1::ValidatingWebhookConfiguration,
    api::admissionregistration::v1alpha1::MutatingAdmissionPolicy,
    api::admissionregistration::v1alpha1::MutatingAdmissionPolicyBinding,
    api::admissionregistration::v1beta1::MutatingAdmissionPolicy,
    api::admissionregistration::v1beta1::MutatingAdmissionPolicyBinding,
    api::apiserverinternal::v1alpha1::StorageVersion,
    api::apps::v1::ControllerRevision,
    api::apps::v1::DaemonSet,
    api::apps::v1::Deployment,
    api::apps::v1::ReplicaSet,
    api::apps::v1::StatefulSet,
    api::autoscaling::v1::HorizontalPodAutoscaler,
    api::autoscaling::v2::HorizontalPodAutoscaler,
    api::batch::v1::CronJob,
    api::batch::v1::Job,
    api::certificates::v1::CertificateSigningRequest,
    api::certificates::v1::ClusterTrustBundle,
    api::certificates::v1::PodCertificateRequest,
    api::certificates::v1beta1::ClusterTrustBundle,
    api::certificates::v1beta1::PodCertificateRequest,
    api::coordination::v1::Lease,
    api::coordination::v1alpha2::LeaseCandidate,
    api::coordination::v1beta1::LeaseCandidate,
    api::core::v1::ComponentStatus,
    api::core::v1::ConfigMap,
    api::core::v1::Endpoints,
    api::core::v1::Event,
    api::core::v1::LimitRange,
    api::core::v1::Namespace,
    api::core::v1::Node,
    api::core::v1::PersistentVolume,
    api::core::v1::PersistentVolumeClaim,
    api::core::v1::Pod,
    api::core::v1::PodTemplate,
    api::core::v1::ReplicationController,
    api::core::v1::ResourceQuota,
    api::core::v1::Secret,
    api::core::v1::Service,
    api::core::v1::ServiceAccount,
    api::discovery::v1::EndpointSlice,
    api::events::v1::Event,
    api::flowcontrol::v1::FlowSchema,
    api::flowcontrol::v1::PriorityLevelConfiguration,
    api::lifecycle::v1alpha1::Eviction,
    api::lifecycle::v1alpha1::EvictionRequest,
    api::networking::v1::Ingress,
    api::networking::v1::IngressClass,
    api::networking::v1::IPAddress,
    api::networking::v1::NetworkPolicy,
    api::networking::v1::ServiceCIDR,
    api::node::v1::RuntimeClass,
    api::policy::v1::PodDisruptionBudget,
    api::rbac::v1::ClusterRole,
    api::rbac::v1::ClusterRoleBinding,
    api::rbac::v1::Role,
    api::rbac::v1::RoleBinding,
    api::resource::v1::DeviceClass,
    api::resource::v1::DeviceTaintRule,
    api::resource::v1::ResourceClaim,
    api::resource::v1::ResourceClaimTemplate,
    api::resource::v1::ResourceSlice,
    api::resource::v1alpha3::DeviceTaintRule,
    api::resource::v1alpha3::ResourcePoolStatusRequest,
    api::resource::v1beta1::DeviceClass,
    api::resource::v1beta1::ResourceClaim,
    api::resource::v1beta1::ResourceClaimTemplate,
    api::resource::v1beta1::ResourceSlice,
    api::resource::v1beta2::DeviceClass,
    api::resource::v1beta2::DeviceTaintRule,
    api::resource::v1beta2::ResourceClaim,
    api::resource::v1beta2::ResourceClaimTemplate,
    api::resource::v1beta2::ResourceSlice,
    api::scheduling::v1::PriorityClass,
    api::scheduling::v1alpha3::CompositePodGroup,
    api::scheduling::v1alpha3::PodGroup,
    api::scheduling::v1alpha3::Workload,
    api::scheduling::v1beta1::PodGroup,
    api::scheduling::v1beta1::Workload,
    api::storage::v1::CSIDriver,
    api::storage::v1::CSINode,
    api::storage::v1::CSIStorageCapacity,
    api::storage::v1::StorageClass,
    api::storage::v1::VolumeAttachment,
    api::storage::v1::VolumeAttributesClass,
    api::storagemigration::v1::StorageVersionMigration,
    api::storagemigration::v1beta1::StorageVersionMigration,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
}

kinds! {
    asked,
    ASKED,
    api::authentication::v1::SelfSubjectReview,
    api::authentication::v1::TokenReview,
    api::authorization::v1::LocalSubjectAccessReview,
    api::authorization::v1::SelfSubjectAccessReview,
    api::authorization::v1::SelfSubjectRulesReview,
    api::authorization::v1::SubjectAccessReview,
    api::core::v1::Binding,
}
