/**
 * Notices that this device has come to another network.
 */

/**
 * Call `changed(isCertain)` when the network is another one; returns how to stop that. Where a browser tells no
 * more than that something about it has changed, its speed perhaps, this is not certain.
 */
export function watchNetwork(changed) {
  const { connection } = navigator;
  let type = connection?.type;
  const back = () => changed(true);
  const differs = () => {
    const isCertain = connection.type !== type;
    type = connection.type;
    changed(isCertain);
  };
  window.addEventListener("online", back);
  connection?.addEventListener?.("change", differs);
  return () => {
    window.removeEventListener("online", back);
    connection?.removeEventListener?.("change", differs);
  };
}
