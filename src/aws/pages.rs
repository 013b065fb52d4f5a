//! Lists that come in pages.

use super::call_error::CallError;

/// A page of a list: its items, and the token of the next page.
pub(crate) type Page<T> = (Vec<T>, Option<String>);

/// Reads all pages of a list. `read` reads one page by its token. The SDK's paginators are not used, because each page is
/// a call of its own for the deadline and the retries. A page may be empty and still be followed by another one.
pub(crate) async fn pages<T>(
    read: impl AsyncFn(Option<String>) -> Result<Page<T>, CallError>,
) -> Result<Vec<T>, CallError> {
    let (mut all, mut token) = (Vec::new(), None);
    loop {
        let (items, next) = read(token).await?;
        all.extend(items);
        token = next.filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(all);
        }
    }
}

/// The marker of the next page, as IAM gives it: it counts only where the list is truncated.
pub(crate) fn marker(is_truncated: bool, marker: Option<String>) -> Option<String> {
    marker.filter(|_| is_truncated)
}
