//! Right commands have no finding; wrong ones have the one that they were written for.

use super::*;

const RIGHT: &[&str] = &[
    "kubectl get pods",
    "kubectl -n shop get pods -o wide",
    "kubectl get po,svc,deploy.apps --all-namespaces",
    "kubectl get pods -A --field-selector spec.nodeName=node-1,status.phase!=Running",
    "kubectl get pods --sort-by=.metadata.creationTimestamp",
    "kubectl get pod web-1 -o jsonpath='{.status.containerStatuses[*].restartCount}'",
    "kubectl get pods -o jsonpath='{range .items[*]}{.metadata.name}{\"\\t\"}{.status.phase}{\"\\n\"}{end}'",
    "kubectl get deploy web -o jsonpath={.spec.template.spec.containers[0].image}",
    "kubectl get nodes -o custom-columns=NAME:.metadata.name,CPU:.status.capacity.cpu",
    "kubectl get all -n shop",
    "kubectl get -f web.yaml -oyaml",
    "kubectl get --raw /readyz",
    "kubectl describe pod/web-1 node/node-1",
    "kubectl describe clusterrole system:node",
    "kubectl logs web-1 -c app --previous --tail=100",
    "kubectl logs deploy/web --since=1h30m -f",
    "kubectl logs -lapp=etcd -n kube-system --prefix",
    "kubectl rollout restart deployment/web -n shop",
    "kubectl rollout undo deploy web --to-revision=3",
    "kubectl rollout status sts/db --timeout=5m",
    "kubectl rollout history daemonset agent",
    "kubectl rollout pause deployment web",
    "kubectl scale deployment web --replicas=5",
    "kubectl scale --replicas 0 sts/db rs/old --current-replicas=2",
    "kubectl set image deployment/web app=shop/web:1.2.3",
    "kubectl set resources deployment web -c=app --limits=cpu=500m,memory=1Gi",
    "kubectl set env deployment/web LEVEL=debug OLD-",
    "kubectl delete pod web-1 --grace-period=0 --force",
    "kubectl delete pods --all -n shop",
    "kubectl delete pod -l app=web --dry-run=server",
    "kubectl apply -f web.yaml --server-side --dry-run=client",
    "kubectl apply -k overlays/prod",
    "kubectl patch deployment web -p '{\"spec\":{\"replicas\":3}}'",
    "kubectl patch deploy web -p '{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"app\",\"image\":\"web:2\"}]}}}}'",
    "kubectl patch svc web --type=merge -p '{\"spec\":{\"type\":\"NodePort\"}}'",
    "kubectl patch deploy web --type json -p '[{\"op\":\"replace\",\"path\":\"/spec/template/spec/containers/0/image\",\"value\":\"web:2\"}]'",
    "kubectl patch node node-1 --type=json -p='[{\"op\":\"remove\",\"path\":\"/metadata/labels/example.com~1role\"}]'",
    "kubectl edit cm web-config",
    "kubectl label node node-1 disk=ssd --overwrite",
    "kubectl annotate pod web-1 note-",
    "kubectl cordon node-1",
    "kubectl drain node-1 --ignore-daemonsets --delete-emptydir-data",
    "kubectl uncordon -l zone=a",
    "kubectl taint nodes node-1 dedicated=batch:NoSchedule",
    "kubectl taint node node-1 dedicated:NoSchedule-",
    "kubectl top pods --containers -A --sort-by=cpu",
    "kubectl top no",
    "kubectl exec -it web-1 -c app -- sh -c 'ls | wc'",
    "kubectl exec deploy/web -- date",
    "kubectl port-forward svc/web 8080:http",
    "kubectl port-forward pod/web-1 8080:80 9090",
    "kubectl explain deployment.spec.template.spec.containers",
    "kubectl explain pods --recursive",
    "kubectl explain deployments.apps",
    "kubectl create deployment web --image=web:1 --replicas=2",
    "kubectl create configmap web --from-literal=a=b",
    "kubectl create secret generic web --from-file=key.pem",
    "kubectl create clusterrolebinding view --clusterrole=view --user=ann",
    "kubectl create role reader --verb=get,list --resource=pods,deployments.apps",
    "kubectl create ns shop",
    "kubectl create -f web.yaml",
    "kubectl create job once --from=cronjob/nightly",
    "kubectl expose deployment web --port=80 --target-port=8080 --type=LoadBalancer",
    "kubectl autoscale deployment web --min=2 --max=10 --cpu-percent=80",
    "kubectl auth can-i delete pods --as=system:serviceaccount:shop:web -n shop",
    "kubectl auth can-i --list",
    "kubectl wait --for=condition=Ready pod/web-1 --timeout=60s",
    "kubectl cluster-info",
    "kubectl config use-context prod",
    "kubectl version",
    "kubectl api-resources --namespaced=true",
    "kubectl rollout restart --help",
];

#[test]
fn right_commands_have_no_finding() {
    let schema = embedded();
    for command in RIGHT {
        let found = schema.check_command(command, Form::Exact);
        assert!(found.is_empty(), "{command}: {}", found[0]);
    }
}

#[test]
fn wrong_commands_have_their_finding() {
    use Problem::*;
    let wrong: &[(&str, &str, Problem)] = &[
        ("helm install web", "", Syntax),
        ("kubectl", "", Syntax),
        ("kubectl rollout", "rollout", Syntax),
        ("kubectl get pods | wc -l", "", Syntax),
        ("kubectl delete pod $POD", "", Syntax),
        ("kubectl delete pod <name>", "", Syntax),
        ("kubectl get pods 'web", "", Syntax),
        ("kubectl get pods\nkubectl delete ns shop", "", Syntax),
        ("kubectl get pod Web_1", "Web_1", Syntax),
        ("kubectl get pod web-1 -l app=web", "--selector", Syntax),
        ("kubectl get pod web-1 -A", "--all-namespaces", Syntax),
        ("kubectl exec web-1 ls", "COMMAND", Syntax),
        ("kubectl label pod web-1 a/b/=c", "a/b/=c", Syntax),
        ("kubectl restart deployment web", "restart", UnknownVerb),
        ("kubectl log web-1", "log", UnknownVerb),
        ("kubectl rollout reboot deploy/web", "reboot", UnknownVerb),
        ("kubectl set memory deploy/web", "memory", UnknownVerb),
        ("kubectl auth can-i see pods", "see", UnknownVerb),
        ("kubectl get podz", "podz", UnknownKind),
        ("kubectl get pods,foo", "foo", UnknownKind),
        ("kubectl get deployments.batch", "deployments.batch", UnknownKind),
        ("kubectl create database web", "database", UnknownKind),
        ("kubectl explain widget.spec", "widget", UnknownKind),
        ("kubectl explain deployment.spec.container", "spec.container", UnknownField),
        ("kubectl get pods --field-selector spec.image=x", "--field-selector", UnknownField),
        (
            "kubectl get pod web-1 -o jsonpath='{.status.restarts}'",
            "--output status.restarts",
            UnknownField,
        ),
        ("kubectl get pods -o jsonpath='{.status.phase}'", "--output .status.phase", UnknownField),
        (
            "kubectl get pods -o custom-columns=N:.metadata.title",
            "--output metadata.title",
            UnknownField,
        ),
        ("kubectl get pods --sort-by=.status.restart", "--sort-by status.restart", UnknownField),
        ("kubectl patch deploy web -p '{\"spec\":{\"replica\":3}}'", "spec.replica", UnknownField),
        (
            "kubectl patch deploy web --type=json -p '[{\"op\":\"add\",\"path\":\"/spec/image\",\"value\":\"x\"}]'",
            "/spec/image",
            UnknownField,
        ),
        (
            "kubectl patch deploy web -p '{\"spec\":{\"replicas\":\"3\"}}'",
            "spec.replicas",
            WrongType,
        ),
        ("kubectl patch deploy web --type=json -p '{\"spec\":{}}'", "--patch", WrongType),
        (
            "kubectl get pod web-1 -o jsonpath='{.spec.containers.image}'",
            "--output spec.containers.image",
            WrongType,
        ),
        ("kubectl scale deployment web --replicas=many", "--replicas", WrongType),
        ("kubectl scale daemonset web --replicas=3", "daemonsets", WrongType),
        ("kubectl rollout restart pod/web-1", "pods", WrongType),
        ("kubectl rollout undo job/once", "jobs", WrongType),
        ("kubectl get pods -o fancy", "--output", WrongType),
        ("kubectl logs web-1 --since=yesterday", "--since", WrongType),
        ("kubectl delete pod web-1 --dry-run=maybe", "--dry-run", WrongType),
        ("kubectl taint node node-1 a=b:NoStart", "a=b:NoStart", WrongType),
        ("kubectl set resources deploy web --limits=memory=1GB", "--limits", WrongType),
        ("kubectl port-forward svc/web 99999", "99999", WrongType),
        ("kubectl logs ingress/web", "ingress/web", WrongType),
        ("kubectl scale deployment web", "--replicas", MissingRequired),
        ("kubectl delete pod", "NAME", MissingRequired),
        ("kubectl get", "TYPE", MissingRequired),
        ("kubectl apply", "--filename", MissingRequired),
        ("kubectl create deployment web", "--image", MissingRequired),
        ("kubectl drain", "NAME", MissingRequired),
        ("kubectl logs", "POD", MissingRequired),
        ("kubectl exec web-1", "COMMAND", MissingRequired),
        ("kubectl patch deploy web", "--patch or --patch-file", MissingRequired),
        ("kubectl label pod web-1", "NAME=VALUE", MissingRequired),
        ("kubectl get pods -n", "--namespace", MissingRequired),
        (
            "kubectl patch deploy web -p '{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"image\":\"x\"}]}}}}'",
            "spec.template.spec.containers[0].name",
            MissingRequired,
        ),
        ("kubectl get pods --wide", "--wide", UnknownFlag),
        ("kubectl describe pod web-1 -o yaml", "-o", UnknownFlag),
        ("kubectl rollout restart deploy/web --replicas=3", "--replicas", UnknownFlag),
        ("kubectl drain node-1 --delete-local-data", "--delete-local-data", UnknownFlag),
    ];
    let schema = embedded();
    for (command, at, problem) in wrong {
        let found = schema.check_command(command, Form::Exact);
        assert_eq!(problems(&found), [(*problem, *at)], "{command}: {found:?}");
    }
}

#[test]
fn what_is_written_for_readers_may_have_placeholders() {
    let schema = embedded();
    let right = [
        "$ kubectl -n $NAMESPACE get pod ${POD} -o yaml",
        "kubectl get pods -o wide | grep web",
        "kubectl describe node <node name>",
        "kubectl delete pod `kubectl get pods -o name`",
        "kubectl scale deploy/$NAME --replicas=$COUNT",
        "kubectl exec \"$(kubectl get po -o name | head -1)\" -- env > out",
    ];
    for command in right {
        assert_eq!(schema.check_command(command, Form::Written), [], "{command}");
    }
    for command in ["kubectl log <pod>", "kubectl get podz -n $NS", "kubectl get pod $(x"] {
        assert_eq!(schema.check_command(command, Form::Written).len(), 1, "{command}");
    }
}

#[test]
fn no_command_brings_the_judge_down() {
    let schema = embedded();
    for command in RIGHT {
        for (end, _) in command.char_indices() {
            schema.check_command(&command[..end], Form::Exact);
            schema.check_command(&format!("{}\u{e9}-{{'", &command[..end]), Form::Written);
        }
    }
}
