pub(super) fn read(
    _: &super::HttpSource,
    _: &mut super::Run<'_>,
    _: &super::Directory,
) -> super::Result<Option<super::lines::Lines>> {
    Ok(None)
}
