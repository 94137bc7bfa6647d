//! What a finished run leaves: an adapter or a model that other programs read.

use crate::trainer::Trainer;
use crate::{Error, Job, Record, Result, State, checkpoint, record};
use model::save;
use ops::{Backend, DType, Numerics};
use std::path::{Path, PathBuf};
use text::tokenizer::Tokenizer;

/// Writes the best and, where that is another one, the last state. Returns the directory of the best:
/// `adapter/`, or `model/` where every weight was trained. The last one stands in `adapter-last/` or
/// `model-last/`.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn write<B: Backend>(
    backend: &mut B,
    job: &Job,
    trainer: &mut Trainer,
    state: &State,
    run: &Path,
) -> Result<PathBuf> {
    let name = if job.lora().is_some() { "adapter" } else { "model" };
    let (best, last) = (run.join(name), run.join(format!("{name}-last")));
    let better = state.best.map(|best| best.step).filter(|step| *step != state.step);
    match better {
        None => {
            write_one(backend, job, trainer, (state.step, &best))?;
            remove(&last)?;
        }
        Some(step) => {
            write_one(backend, job, trainer, (state.step, &last))?;
            write_best(backend, job, trainer, (step, run, &best))?;
        }
    }
    Ok(best)
}

/// Writes the present state, that after `step` steps.
fn write_one<B: Backend>(
    backend: &mut B,
    job: &Job,
    trainer: &Trainer,
    (step, directory): (u64, &Path),
) -> Result<()> {
    let record = Record::trained(job, backend.target(), step)?;
    files::write_dir_atomic(directory, |inside| -> Result<()> {
        match job.lora() {
            Some(lora) => save::adapter(backend, trainer.model(), lora, &job.base_name(), inside)?,
            None => {
                save::model(backend, trainer.model(), file_type(job), inside)?;
                copy_tokenizer(job, inside)?;
            }
        }
        // What a device that failed gave is not what was trained.
        backend.finish()?;
        record.write(inside)?;
        Ok(())
    })
}

/// Writes the state of the checkpoint of `step` in `run`: an adapter's files are what is wanted already; a model is brought
/// back to it and written in its own type.
fn write_best<B: Backend>(
    backend: &mut B,
    job: &Job,
    trainer: &mut Trainer,
    (step, run, to): (u64, &Path, &Path),
) -> Result<()> {
    let from = &checkpoint::directory(run, step);
    checkpoint::verify(from, job)?;
    if job.lora().is_none() {
        let trained = checkpoint::trained(from, job)?;
        trainer.replace(backend, job, &trained)?;
        return write_one(backend, job, trainer, (step, to));
    }
    // Written anew and not copied: a checkpoint's lists other files.
    let before = Record::read(from)?.ok_or_else(|| {
        Error::checkpoint(&from.join(record::FILE), "it is missing\nhint: start a new run")
    })?;
    let record = Record::trained(job, backend.target(), step)?.on_tier_of(&before);
    files::write_dir_atomic(to, |inside| {
        for name in record::ADAPTER_FILES {
            copy(&from.join(name), &inside.join(name))?;
        }
        record.write(inside)?;
        Ok(())
    })
}

/// The type in which the weights were used.
fn file_type(job: &Job) -> DType {
    match job.spec().numerics {
        Numerics::Bf16 | Numerics::Int8 => DType::Bf16,
        Numerics::F32 => DType::F32,
    }
}

/// Whatever format it is in, it becomes a `tokenizer.json`. Training on token ids does not ask what
/// they mean, so a tokenizer that is not known here goes along as it is.
fn copy_tokenizer(job: &Job, directory: &Path) -> Result<()> {
    let Some(from) = job.tokenizer() else { return Ok(()) };
    let to = directory.join("tokenizer.json");
    match Tokenizer::from_file(from) {
        Ok(tokenizer) => Ok(tokenizer.save(&to)?),
        Err(_) => copy(from, &to),
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to).map_err(files::Error::io(files::Operation::Write, from))?;
    Ok(())
}

/// Removes what an earlier run left under a name that this one does not use.
fn remove(directory: &Path) -> Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(files::Error::io(files::Operation::Replace, directory)(cause).into())
        }
        _ => Ok(()),
    }
}
