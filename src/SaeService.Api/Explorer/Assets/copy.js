// Buttons that copy the text of the element they name. The clipboard is open to pages of https and of this machine only.
if (navigator.clipboard)
    for (const button of document.querySelectorAll("button[data-copy]")) {
        const label = button.textContent;
        button.hidden = false;
        button.addEventListener("click", async () => {
            try {
                await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
                button.textContent = "Copied";
            } catch {
                button.textContent = "The browser did not allow it";
            }
            setTimeout(() => { button.textContent = label; }, 2000);
        });
    }
