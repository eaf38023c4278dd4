// busier
show(words.over[reason]({ name }), words.missed({ count: 1 }));