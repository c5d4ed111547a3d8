-- A comment of the author, who means every one of its blank lines.

select
    orders.id,
    orders.symbol,
    orders.quantity,

    orders.quantity * prices.price as value

from {{ ref("orders") }} as orders
join {{ ref("prices") }} as prices on prices.symbol = orders.symbol
