// Links with a name to save under: the server would have them all called film.gif.
element.addEventListener("click", async (event) => {
  const link = event.target.closest("a[download]");
  if (!link || link.href.startsWith("blob:")) return;
  event.preventDefault();
  const answer = await fetch(link.href);
  const copy = document.createElement("a");
  copy.href = URL.createObjectURL(await answer.blob());
  copy.download = link.download;
  copy.click();
  setTimeout(() => URL.revokeObjectURL(copy.href), 60000);
});
