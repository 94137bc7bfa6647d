//! The PetShop data set, where it is there.

use super::*;
use std::collections::BTreeMap;

/// Every so many of the windows of a time without issues are looked at here; `srek rank --petshop`
/// looks at all.
const EVERY: usize = 6;

#[test]
fn the_causes_of_a_real_system_are_found() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.join("../shared/data/petshop/low_traffic");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let Ok(graph) = std::fs::read_to_string(root.join("graph.csv")) else {
        crate::skip::skip("no PetShop data set beside the checkout");
        return;
    };
    let calls = petshop::graph(&graph).unwrap();
    let normal = petshop::metrics(&read(&root.join("noissue/metrics.csv"))).unwrap();
    let mut recalls: BTreeMap<(String, usize), Recall> = BTreeMap::new();
    for part in ["train", "test"] {
        for entry in std::fs::read_dir(root.join(part)).unwrap() {
            let path = entry.unwrap().path();
            let issue = petshop::issue(&read(&path.join("target.json"))).unwrap();
            let metrics = petshop::metrics(&read(&path.join("metrics.csv"))).unwrap();
            for late in 0..3 {
                let window = petshop::window(&calls, &normal, &metrics, &issue.target, late);
                let recall = recalls.entry((issue.target.metric.clone(), late)).or_default();
                recall.add(Method::Fused, &window.unwrap(), &issue.root_cause.node);
            }
        }
    }
    for late in 0..3 {
        let latency = recalls[&("latency".to_owned(), late)];
        assert!(latency.count == 14 && latency.first >= 10.0 && latency.three >= 12.0);
        let availability = recalls[&("availability".to_owned(), late)];
        assert!(availability.count == 12 && availability.first >= 8.0);
        assert!(availability.three >= 12.0, "{availability:?}");
    }
    let (mut none, mut count) = (0, 0);
    for (past, now) in petshop::quiet(&normal, 4).step_by(EVERY) {
        for metric in ["latency", "availability"] {
            let (node, timestamp) = ("PetSite".to_owned(), now.times[0]);
            let alarm = petshop::Alarm { node, metric: metric.to_owned(), timestamp };
            let window = petshop::window(&calls, &past, &now, &alarm, 0).unwrap();
            none += usize::from(rank(&window).list.is_empty());
            count += 1;
        }
    }
    assert!(none * 10 >= count * 9, "{none} of {count}");
}
