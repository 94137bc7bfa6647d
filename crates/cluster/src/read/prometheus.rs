pub(super) fn read(
    _: &super::HttpSource,
    _: &mut super::Run<'_>,
    _: &mut super::Directory,
    _: &mut super::assemble::Found,
) -> super::Result<()> {
    Ok(())
}
