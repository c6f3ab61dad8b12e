from common import *
def att(p,x):
    h=(x@p['i']).reshape(-1,8,16); q,k,v=h@p['q'],h@p['k'],h@p['v']
    a=jax.nn.softmax(q@jnp.swapaxes(k,1,2)/4.); return (a@v).reshape(x.shape[0],-1)@p['o'],a
f=lambda p,x: att(p,x)[0]
for s in (1.,30.,300.):
    p=dict(i=N(16,128),q=N(16,16)*s,k=N(16,16)*s,v=N(16,16),o=N(128,1,g=.1)); a=att(p,x)[1]
    g=jax.grad(lambda p:mse(f(p,x),y))(p)
    print("q,k x",s,"rows with max prob>.99",float((a.max(-1)>.99).mean()),"median|grad q|",float(jnp.median(jnp.abs(g['q']))),str(winit.jax.audit(f,p,x,y,mse)).splitlines()[0])
def moe(p,x):
    g=jax.nn.softmax(x@p['g']); h=relu(jnp.einsum('bi,eij->bej',x,p['a'])); return jnp.einsum('be,bek->bk',g,jnp.einsum('bej,ejk->bek',h,p['b']))
E4=lambda a,b,g: jnp.stack([N(a,b,g=g) for _ in range(4)])
p=dict(g=N(16,4,g=100.),a=E4(16,64,2**.5),b=E4(64,1,.1)); pr=jax.nn.softmax(x@p['g'])
print("MoE gate std",float(p['g'].std()),"rows max>.99",float((pr.max(-1)>.99).mean()),str(winit.jax.audit(moe,p,x,y,mse)).splitlines()[0])
