for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const heading = button.parentElement, body = heading.closest("table").tBodies[0];
    const column = heading.cellIndex, down = heading.ariaSort !== "descending";
    for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
    heading.ariaSort = down ? "descending" : "ascending";
    const value = (row) => Number.parseFloat(row.cells[column].textContent.trim().replace("\u2212", "-")) || 0;
    body.append(...[...body.rows].sort((a, b) => (value(b) - value(a)) * (down ? 1 : -1)));
  });
}
