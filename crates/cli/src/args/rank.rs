//! `srek rank`

use clap::{ArgGroup, Args as ClapArgs};
use std::path::PathBuf;

/// `srek rank`
#[derive(Debug, ClapArgs)]
#[command(group(ArgGroup::new("what").required(true).args(["incident", "anomalous", "petshop"])))]
pub(crate) struct RankArgs {
    /// An incident: a JSON file as docs/incident.md describes it
    #[arg(long, value_name = "FILE")]
    pub(crate) incident: Option<PathBuf>,
    /// Metrics of a time when all was well: first column time, others named service_metric
    #[arg(long, value_name = "CSV", requires = "anomalous")]
    pub(crate) normal: Option<PathBuf>,
    /// Metrics of the trouble, as in --normal
    #[arg(long, value_name = "CSV", requires = "normal")]
    pub(crate) anomalous: Option<PathBuf>,
    /// Who calls whom: lines of caller,callee; also tells service names with underscores
    #[arg(long, value_name = "CSV", requires = "anomalous")]
    pub(crate) calls: Option<PathBuf>,
    /// Score rankings on a directory as the PetShop data set has it: graph.csv, noissue/metrics.csv,
    /// {train,test}/issue_N/{metrics.csv,target.json}
    #[arg(long, value_name = "DIR")]
    pub(crate) petshop: Option<PathBuf>,
    /// Places of the list to show
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) top: usize,
}
