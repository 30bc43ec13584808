// Fills a region that takes a moment to make, once it comes into view: its link leads to the same page with the region filled, so that it works without this script too.
for (const region of document.querySelectorAll("[data-lazy]")) {
    const link = region.querySelector("a");
    const status = document.getElementById(region.dataset.lazy);
    const observer = new IntersectionObserver(async entries => {
        if (!entries.some(entry => entry.isIntersecting))
            return;
        observer.disconnect();
        status.textContent = "Looking …";
        region.setAttribute("aria-busy", "true");
        try {
            const answer = await fetch(link.href, { headers: { accept: "text/html" } });
            const page = new DOMParser().parseFromString(await answer.text(), "text/html");
            const filled = page.getElementById(region.id);
            if (!filled)
                throw new Error(page.querySelector("main p")?.textContent ?? answer.statusText);
            region.replaceChildren(...filled.childNodes);
            status.textContent = "Found.";
        } catch (error) {
            status.textContent = `Not found: ${error.message}`;
        }
        region.removeAttribute("aria-busy");
    });
    observer.observe(region);
}
