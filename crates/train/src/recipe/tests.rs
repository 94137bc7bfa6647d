use super::*;
use std::path::Path;

const SMALLEST: &str = "[model]\ndirectory = \"base\"\n[lora]\n[data]\ndirectory = \"data\"\n\
    [batch]\ntokens = 64\n[schedule]\nsteps = 10\n";

fn refused(text: &str) -> String {
    Recipe::parse(text, "recipe.toml").expect_err(text).to_string()
}

#[test]
fn defaults_are_written_out_and_read_back() {
    let recipe = Recipe::parse(SMALLEST, "recipe.toml").unwrap();
    assert_eq!(recipe.lora.as_ref().unwrap().targets, ["all-linear"]);
    assert_eq!((recipe.optimizer.max_grad_norm, recipe.checkpoint.keep), (1.0, 2));
    let text = recipe.to_toml();
    for line in
        ["base = \"as-stored\"", "numerics = \"bf16\"", "decay = \"cosine\"", "beta2 = 0.999"]
    {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert_eq!(Recipe::parse(&text, "again").unwrap(), recipe);
}

#[test]
fn every_field_is_written_back() {
    let text = "seed = 9\n[model]\ndirectory = \"base\"\ntokenizer = \"t.json\"\nbase = \"nf4-dq\"\n\
        head = \"q8\"\nnumerics = \"f32\"\n[lora]\nrank = 4\nalpha = 8.0\nrslora = true\n\
        targets = [\"q_proj\", \"down_proj\"]\nrank_pattern = { q_proj = 8 }\n\
        alpha_pattern = { down_proj = 3.0 }\n[data]\ndirectory = \"data\"\nheld_out = 0.25\n\
        split = \"time\"\ncontext = 32\norder = \"file\"\n[batch]\ntokens = 64\ndocuments = 3\nmicro_batches = 5\n\
        [schedule]\nepochs = 2\nlearning_rate = 1e-3\nwarmup_steps = 4\ndecay = \"linear\"\n\
        minimum_ratio = 0.1\n[optimizer]\nbeta1 = 0.8\nbeta2 = 0.95\neps = 1e-6\n\
        weight_decay = 0.01\nmax_grad_norm = 0\n[evaluation]\nevery = 5\npatience = 3\n\
        [checkpoint]\nevery = 7\nkeep = 3\n[memory]\npolicy = \"auto\"\ndevice_mib = 100\n\
        host_mib = 200\nlogits_rows = 16\ntile_rows = 48\n";
    let text = text.replace("max_grad_norm = 0\n", "max_grad_norm = 0.0\n");
    let recipe = Recipe::parse(&text, "recipe.toml").unwrap();
    assert_eq!(Recipe::parse(&recipe.to_toml(), "again").unwrap(), recipe);
    let given: toml::Table = toml::from_str(&text).unwrap();
    let written: toml::Table = toml::from_str(&recipe.to_toml()).unwrap();
    for (section, values) in &given {
        let Some(values) = values.as_table() else { continue };
        for key in values.keys() {
            assert!(written[section].get(key).is_some(), "{section}.{key} was lost");
        }
    }
    let lora = recipe.lora.unwrap().config().unwrap();
    assert_eq!(LoraSection::from_config(&lora).config().unwrap(), lora);
}

#[test]
fn unknown_keys_and_values_name_file_line_and_key() {
    let unknown = SMALLEST.replace("steps = 10", "steps = 10\nwarm_up = 3");
    let error = refused(&unknown);
    assert!(
        error.starts_with("recipe.toml:10: unknown field `warm_up`, expected one of"),
        "{error}"
    );
    let error = refused(&SMALLEST.replace("tokens = 64", "tokens = \"many\""));
    assert!(error.starts_with("recipe.toml:7: invalid type: string \"many\""), "{error}");
    let error =
        refused(&SMALLEST.replace("directory = \"base\"", "directory = \"base\"\nbase = \"nf3\""));
    assert!(error.starts_with("recipe.toml:3: unknown variant `nf3`"), "{error}");
    let error = refused(&SMALLEST.replace("tokens = 64", "tokens = 64\ntokens = 65"));
    assert!(error.starts_with("recipe.toml:8: duplicate key"), "{error}");
    assert!(refused("[model]\n").contains("missing field"), "{}", refused("[model]\n"));
}

#[test]
fn values_that_cannot_be_are_refused() {
    let cases = [
        (
            "[lora]",
            "[lora]\ndropout = 0.1",
            "recipe.toml: lora.dropout is 0.1, which is not supported",
        ),
        ("[lora]", "[lora]\nrank = 0", "recipe.toml: lora: rank is 0, expected 1 to 1024"),
        (
            "[lora]",
            "[lora]\ntargets = [\"x_proj\"]",
            "recipe.toml: lora.targets: target module \"x_proj\"",
        ),
        (
            "[lora]",
            "[lora]\nrank_pattern = { q_proj = 4, \"self_attn.q_proj\" = 8 }",
            "recipe.toml: lora.rank_pattern has different values for \"q_proj\" and \"self_attn.q_proj\"",
        ),
        (
            "steps = 10",
            "",
            "recipe.toml: expected exactly one of schedule.steps and schedule.epochs",
        ),
        ("steps = 10", "steps = 0", "recipe.toml: schedule.steps is 0, expected 1 to"),
        (
            "steps = 10",
            "steps = 1\nlearning_rate = nan",
            "recipe.toml: schedule.learning_rate is NaN",
        ),
        ("tokens = 64", "tokens = 0", "recipe.toml: batch.tokens is 0, expected 1 to"),
        (
            "\"data\"",
            "\"data\"\nheld_out = 1.0",
            "recipe.toml: data.held_out is 1, expected 0 to below 1",
        ),
        (
            "\"data\"",
            "\"data\"\nsplit = \"time\"",
            "recipe.toml: data.split is \"time\", but data.held_out is 0",
        ),
        (
            "\"data\"",
            "\"data\"\ncontext = 65",
            "recipe.toml: data.context is 65, but a micro-batch holds 64",
        ),
        (
            "[batch]",
            "[evaluation]\nevery = 2\n[batch]",
            "recipe.toml: evaluation.every is set, but",
        ),
        (
            "[batch]",
            "[optimizer]\nbeta1 = 1.0\n[batch]",
            "recipe.toml: optimizer.beta1 is 1, expected 0",
        ),
        (
            "[batch]",
            "[optimizer]\ncoupled_embedding = true\n[batch]",
            "recipe.toml: optimizer.coupled_embedding is set, but an adapter",
        ),
        (
            "[lora]\n",
            "base = \"nf4\"\n",
            "recipe.toml: model.base and model.head must be \"as-stored\"",
        ),
        ("directory = \"base\"", "", "recipe.toml: expected exactly one of model.directory and"),
    ];
    for (from, to, words) in cases {
        assert!(SMALLEST.contains(from), "{from}");
        let error = refused(&SMALLEST.replace(from, to));
        assert!(error.starts_with(words), "{error}");
    }
}

#[test]
fn the_recipes_of_the_project_can_be_read() {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let mut read = 0;
    for folder in std::fs::read_dir(configs).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let command = text.lines().nth(1).unwrap_or_default();
            let recipe = Recipe::read(&path).unwrap();
            let verb = if recipe.trains_everything() { "pretrain" } else { "train" };
            let name = format!("configs/{}/{}", folder_name(&path), file_name(&path));
            assert!(command.starts_with(&format!("#   srek {verb} {name} ")), "{command:?}");
            read += 1;
        }
    }
    assert!(read >= 4, "{read} recipes");
}

fn file_name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn folder_name(path: &Path) -> &str {
    file_name(path.parent().unwrap())
}
