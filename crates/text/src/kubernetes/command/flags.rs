//! The commands of `kubectl` and the flags of each.
//!
//! A flag is `name`, or `name/s` with a short form; `=` behind it says that a value must follow,
//! `?` that one may follow behind an equals sign. `@group` stands for the flags of a group.

const GLOBAL: &str = "namespace/n= context= cluster= user= kubeconfig= as= as-group= as-uid= \
    request-timeout= server/s= token= tls-server-name= certificate-authority= \
    client-certificate= client-key= cache-dir= insecure-skip-tls-verify match-server-version \
    v/v= vmodule= profile= profile-output= warnings-as-errors disable-compression username= \
    password= log-flush-frequency= kuberc= help/h";
const FILES: &str = "filename/f= kustomize/k= recursive/R";
const PRINT: &str = "output/o= template= show-managed-fields allow-missing-template-keys";
const WRITE: &str = "dry-run? field-manager=";
const SET: &str = "@files @print @write all local selector/l= record";
const CREATE: &str = "@print @write save-config validate?";

/// A command, its own flags, and the flags without which it does not run.
pub(super) struct Command {
    /// `get`, or `rollout undo`.
    pub(super) name: &'static str,
    flags: &'static str,
    /// Flags that must be given.
    pub(super) required: &'static [&'static str],
}

const fn command(
    name: &'static str,
    flags: &'static str,
    required: &'static [&'static str],
) -> Command {
    Command { name, flags, required }
}

/// Everything that `kubectl` does.
pub(super) const COMMANDS: &[Command] = &[
    command(
        "annotate",
        "@files @print @write all all-namespaces/A field-selector= list local overwrite record resource-version= selector/l=",
        &[],
    ),
    command(
        "api-resources",
        "api-group= cached categories= namespaced? no-headers output/o= sort-by= verbs= show-managed-fields",
        &[],
    ),
    command("api-versions", "", &[]),
    command(
        "apply",
        "@files @print @write all applyset= cascade? force force-conflicts grace-period= openapi-patch overwrite prune prune-allowlist= selector/l= server-side subresource= timeout= validate? wait",
        &[],
    ),
    command("attach", "container/c= pod-running-timeout= quiet/q stdin/i tty/t detach-keys=", &[]),
    command("auth can-i", "all-namespaces/A list no-headers quiet/q subresource=", &[]),
    command("auth whoami", "@print", &[]),
    command(
        "autoscale",
        "@files @print @write cpu-percent= cpu= memory= max= min= name= record save-config",
        &["max"],
    ),
    command("certificate approve", "@files @print force", &[]),
    command("certificate deny", "@files @print force", &[]),
    command("cluster-info", "", &[]),
    command(
        "cluster-info dump",
        "@print all-namespaces/A namespaces= output-directory= pod-running-timeout=",
        &[],
    ),
    command("config current-context", "", &[]),
    command("config get-contexts", "no-headers output/o=", &[]),
    command("config set-context", "current", &[]),
    command("config use-context", "", &[]),
    command("config view", "@print flatten merge? minify raw", &[]),
    command("cordon", "dry-run? selector/l=", &[]),
    command("cp", "container/c= no-preserve retries=", &[]),
    command(
        "create",
        "@files @create edit raw= selector/l= windows-line-endings record",
        &["filename|kustomize"],
    ),
    command(
        "create clusterrole",
        "@create aggregation-rule= non-resource-url= resource= resource-name= verb=",
        &["verb|aggregation-rule"],
    ),
    command(
        "create clusterrolebinding",
        "@create clusterrole= group= serviceaccount= user=",
        &["clusterrole"],
    ),
    command("create configmap", "@create append-hash from-env-file= from-file= from-literal=", &[]),
    command("create cronjob", "@create image= restart= schedule=", &["image", "schedule"]),
    command("create deployment", "@create image= port= replicas/r=", &["image"]),
    command(
        "create ingress",
        "@create annotation= class= default-backend= rule=",
        &["rule|default-backend"],
    ),
    command("create job", "@create from= image=", &["from|image"]),
    command("create namespace", "@create", &[]),
    command(
        "create poddisruptionbudget",
        "@create max-unavailable= min-available= selector=",
        &["selector", "max-unavailable|min-available"],
    ),
    command(
        "create priorityclass",
        "@create description= global-default preemption-policy= value=",
        &["value"],
    ),
    command("create quota", "@create hard= scopes=", &[]),
    command("create role", "@create resource= resource-name= verb=", &["resource", "verb"]),
    command(
        "create rolebinding",
        "@create clusterrole= group= role= serviceaccount= user=",
        &["clusterrole|role"],
    ),
    command(
        "create secret docker-registry",
        "@create append-hash docker-email= docker-password= docker-server= docker-username= from-file=",
        &[],
    ),
    command(
        "create secret generic",
        "@create append-hash from-env-file= from-file= from-literal= type=",
        &[],
    ),
    command("create secret tls", "@create append-hash cert= key=", &["cert", "key"]),
    command("create service clusterip", "@create clusterip= tcp=", &[]),
    command("create service externalname", "@create external-name= tcp=", &["external-name"]),
    command("create service loadbalancer", "@create tcp=", &["tcp"]),
    command("create service nodeport", "@create node-port= tcp=", &["tcp"]),
    command("create serviceaccount", "@create", &[]),
    command(
        "create token",
        "@print audience= bound-object-kind= bound-object-name= bound-object-uid= duration=",
        &[],
    ),
    command(
        "debug",
        "arguments-only attach container/c= copy-to= custom= env= filename/f= image= image-pull-policy= keep-annotations keep-init-containers keep-labels keep-liveness keep-readiness keep-startup profile= quiet/q replace same-node set-image= share-processes? stdin/i target= tty/t",
        &[],
    ),
    command(
        "delete",
        "@files all all-namespaces/A cascade? dry-run? field-selector= force grace-period= ignore-not-found interactive/i now output/o= raw= selector/l= timeout= wait",
        &[],
    ),
    command("describe", "@files all-namespaces/A chunk-size= selector/l= show-events", &[]),
    command(
        "diff",
        "@files concurrency= field-manager= force-conflicts prune prune-allowlist= selector/l= server-side show-managed-fields",
        &["filename|kustomize"],
    ),
    command(
        "drain",
        "chunk-size= delete-emptydir-data disable-eviction dry-run? force grace-period= ignore-daemonsets pod-selector= selector/l= skip-wait-for-delete-timeout= timeout=",
        &[],
    ),
    command(
        "edit",
        "@files @print field-manager= output-patch record save-config subresource= validate? windows-line-endings",
        &[],
    ),
    command("events", "@print all-namespaces/A chunk-size= for= no-headers types= watch/w", &[]),
    command("exec", "container/c= filename/f= pod-running-timeout= quiet/q stdin/i tty/t", &[]),
    command("explain", "api-version= output/o= recursive", &[]),
    command(
        "expose",
        "@files @print @write cluster-ip= external-ip= labels/l= load-balancer-ip= name= override-type= overrides= port= protocol= record save-config selector= session-affinity= target-port= type=",
        &[],
    ),
    command(
        "get",
        "@files @print all-namespaces/A chunk-size= field-selector= ignore-not-found label-columns/L= no-headers output-watch-events raw= selector/l= server-print show-kind show-labels sort-by= subresource= watch/w watch-only",
        &[],
    ),
    command(
        "kustomize",
        "as-current-user enable-alpha-plugins enable-helm env/e= helm-command= load-restrictor= mount= network output/o=",
        &[],
    ),
    command(
        "label",
        "@files @print @write all all-namespaces/A field-selector= list local overwrite record resource-version= selector/l=",
        &[],
    ),
    command(
        "logs",
        "all-containers all-pods container/c= follow/f ignore-errors insecure-skip-tls-verify-backend limit-bytes= max-log-requests= pod-running-timeout= prefix previous/p selector/l= since= since-time= tail= timestamps",
        &[],
    ),
    command(
        "patch",
        "@files @print @write local patch/p= patch-file= record subresource= type=",
        &["patch|patch-file"],
    ),
    command("port-forward", "address= pod-running-timeout=", &[]),
    command(
        "proxy",
        "accept-hosts= accept-paths= address= api-prefix= append-server-path disable-filter keepalive= port/p= reject-methods= reject-paths= unix-socket/u= www/w= www-prefix/P=",
        &[],
    ),
    command(
        "replace",
        "@files @print @write cascade? force grace-period= raw= save-config subresource= timeout= validate? wait",
        &["filename|kustomize|raw"],
    ),
    command("rollout history", "@files @print revision= selector/l=", &[]),
    command("rollout pause", "@files @print field-manager= selector/l=", &[]),
    command("rollout restart", "@files @print field-manager= selector/l=", &[]),
    command("rollout resume", "@files @print field-manager= selector/l=", &[]),
    command("rollout status", "@files revision= selector/l= timeout= watch/w", &[]),
    command("rollout undo", "@files @print dry-run? selector/l= to-revision=", &[]),
    command(
        "run",
        "@files @print @write annotations= attach cascade? command env= expose force grace-period= image= image-pull-policy= labels/l= leave-stdin-open override-type= overrides= pod-running-timeout= port= privileged quiet/q record restart= rm save-config stdin/i timeout= tty/t wait",
        &["image"],
    ),
    command(
        "scale",
        "@files @print all current-replicas= dry-run? record replicas= resource-version= selector/l= timeout=",
        &["replicas"],
    ),
    command("set env", "@set containers/c= env/e= from= keys= list overwrite prefix= resolve", &[]),
    command("set image", "@set", &[]),
    command("set resources", "@set containers/c= limits= requests=", &["limits|requests"]),
    command("set selector", "@files @print @write all local record resource-version=", &[]),
    command("set serviceaccount", "@files @print @write all local record", &[]),
    command("set subject", "@set group= serviceaccount= user=", &[]),
    command("taint", "@print @write all overwrite selector/l= validate?", &[]),
    command(
        "top node",
        "no-headers selector/l= show-capacity show-swap sort-by= use-protocol-buffers",
        &[],
    ),
    command(
        "top pod",
        "all-namespaces/A containers field-selector= no-headers selector/l= show-swap sort-by= sum use-protocol-buffers",
        &[],
    ),
    command("uncordon", "dry-run? selector/l=", &[]),
    command("version", "client output/o=", &[]),
    command(
        "wait",
        "@files @print all all-namespaces/A field-selector= for= local selector/l= timeout=",
        &["for"],
    ),
];

/// Other names of commands and of their parts.
pub(super) const ALIASES: [(&str, &str); 12] = [
    ("clusterrolebindings", "clusterrolebinding"),
    ("cj", "cronjob"),
    ("cm", "configmap"),
    ("deploy", "deployment"),
    ("ing", "ingress"),
    ("nodes", "node"),
    ("no", "node"),
    ("ns", "namespace"),
    ("pdb", "poddisruptionbudget"),
    ("pods", "pod"),
    ("po", "pod"),
    ("sa", "serviceaccount"),
];

/// How a flag is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Alone, or with `=true` or `=false`.
    Switch,
    /// With a value behind a space or an equals sign.
    Needed,
    /// Alone, or with a value behind an equals sign.
    Optional,
}

/// A flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flag {
    /// Its long name.
    pub(super) name: &'static str,
    /// Its letter.
    pub(super) short: Option<char>,
    /// How it is written.
    pub(super) value: Value,
}

impl Command {
    /// All its flags, those of every command included.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let mut flags = Vec::new();
        collect(self.flags, &mut flags);
        collect(GLOBAL, &mut flags);
        flags
    }
}

/// The flags that stand before a command, too.
pub(super) fn global() -> Vec<Flag> {
    let mut flags = Vec::new();
    collect(GLOBAL, &mut flags);
    flags
}

fn collect(list: &'static str, into: &mut Vec<Flag>) {
    for item in list.split_whitespace() {
        match item {
            "@files" => collect(FILES, into),
            "@print" => collect(PRINT, into),
            "@write" => collect(WRITE, into),
            "@set" => collect(SET, into),
            "@create" => collect(CREATE, into),
            _ => into.push(flag(item)),
        }
    }
}

fn flag(item: &'static str) -> Flag {
    let (item, value) = match item.as_bytes().last() {
        Some(b'=') => (&item[..item.len() - 1], Value::Needed),
        Some(b'?') => (&item[..item.len() - 1], Value::Optional),
        _ => (item, Value::Switch),
    };
    match item.split_once('/') {
        Some((name, short)) => Flag { name, short: short.chars().next(), value },
        None => Flag { name: item, short: None, value },
    }
}
